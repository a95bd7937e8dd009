import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image

from genbench.cli.spatial_command import spatial
from genbench.errors import FeatureError, UsageError
from genbench.features.extractor import load_extractors
from genbench.features.spaces import get
from genbench.images import emoji32
from genbench.metrics.spatial.foreground import patch_masks, srss
from genbench.spatial_scores import token_space
from genbench.tokens.correlogram import correlograms
from genbench.tokens.grid import Grid

SPACE = "effnet-lite0/tokens"
GRID = Grid(14, 14)
EMOJI = emoji32.load("test").images[::16][:20]
BRIGHT = EMOJI.min(axis=-1) < 250
"""Emoji stand on white."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests, so that tokens are extracted once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 20 emoji."""
    return _folder(tmp_path_factory.mktemp("images"), EMOJI)


def _folder(folder: Path, images: Iterable[np.ndarray]) -> Path:
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    return folder


def genbench_spatial(*arguments: str | Path, cache: Path) -> None:
    app = typer.Typer()
    app.command()(spatial)
    app([str(argument) for argument in (*arguments, "--device", "cpu", "--cache", cache)], standalone_mode=False)


def rows(capsys: pytest.CaptureFixture[str], *arguments: str | Path, cache: Path) -> dict[str, dict[str, object]]:
    """The printed JSON, by metric."""
    capsys.readouterr()
    genbench_spatial(*arguments, "--format", "json", cache=cache)
    return {row["metric"]: row for row in json.loads(capsys.readouterr().out)}


def tokens() -> torch.Tensor:
    """The emoji's tokens without command, files or cache."""
    extract = load_extractors([get(SPACE)], cache=Path("unused"))
    return extract(torch.from_numpy(EMOJI.transpose(0, 3, 1, 2).copy()))[SPACE]


def test_the_four_of_an_encoder(images: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = rows(capsys, SPACE, images, cache=cache)
    assert list(found) == ["lds", "cds", "srss", "rmsc"]
    g = correlograms(tokens()).numpy()
    assert g.shape == (20, 27)
    assert found["lds"]["value"] == pytest.approx(lds_of_code(g).mean(), abs=1e-5)
    assert found["lds"]["stderr"] == pytest.approx(lds_of_code(g).std(ddof=1) / 20**0.5, rel=1e-3)
    assert found["rmsc"]["value"] == pytest.approx(np.sqrt(1 - g @ GRID.pairs / 196**2).mean(), abs=1e-5)
    assert [row["n"] for row in found.values()] == [20, 20, 0, 20]


def lds_of_code(g: np.ndarray) -> np.ndarray:
    return g[:, 1] - g[:, 6:] @ GRID.pairs[6:] / GRID.pairs[6:].sum()


def test_with_masks_all_four_are_of_the_images_that_the_authors_script_keeps(
    images: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = _folder(tmp_path, (BRIGHT * 255).astype(np.uint8))
    patches = patch_masks(BRIGHT, GRID)
    fair = (patches.sum(1) >= 49) & (patches.sum(1) <= 147)
    assert 1 < fair.sum() < 20
    g = correlograms(tokens()).numpy()
    genbench_spatial(SPACE, images, "--masks", masks, cache=cache)
    assert f"{20 - fair.sum()} of 20 images are left out" in capsys.readouterr().err
    found = rows(capsys, SPACE, images, "--masks", masks, "--reference", images, cache=cache)
    assert {found[name]["n"] for name in ("lds", "cds", "srss", "rmsc")} == {fair.sum()}
    assert found["srss"]["value"] == pytest.approx(srss(tokens(), patches, same=1, far=6)[fair].mean(), abs=1e-5)
    assert found["lds"]["value"] == pytest.approx(lds_of_code(g[fair]).mean(), abs=1e-5)
    assert found["rmsc"]["value"] == pytest.approx(np.sqrt(1 - g[fair] @ GRID.pairs / 196**2).mean(), abs=1e-5)
    assert (found["ssw"]["n"], found["ssw"]["value"]) == (20, 0)


def test_with_masks_the_papers_text_leaves_out_no_image_that_has_a_value(
    images: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bright = BRIGHT.copy()
    bright[3] = False
    masks = _folder(tmp_path, (bright * 255).astype(np.uint8))
    genbench_spatial(SPACE, images, "--masks", masks, "--preset", "paper", cache=cache)
    expected = srss(tokens(), patch_masks(bright, GRID), same=7, far=7)
    without = int(np.isnan(expected).sum())
    assert f"srss: {without} of 20 images have none" in capsys.readouterr().err
    found = rows(capsys, SPACE, images, "--masks", masks, "--preset", "paper", cache=cache)
    assert [found[name]["n"] for name in ("lds", "cds", "srss", "rmsc")] == [20, 20, 20 - without, 20]
    assert found["srss"]["value"] == pytest.approx(np.nanmean(expected), abs=1e-5)


def test_without_masks_srss_is_there_and_has_no_value(
    images: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    genbench_spatial(SPACE, images, "--format", "json", cache=cache)
    out, err = capsys.readouterr()
    assert [(row["metric"], row["value"] is None) for row in json.loads(out)] == [
        ("lds", False),
        ("cds", False),
        ("srss", True),
        ("rmsc", False),
    ]
    assert "--masks" in err


def test_presets_differ_where_the_paper_does(images: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = rows(capsys, SPACE, images, cache=cache)
    paper = rows(capsys, SPACE, images, "--preset", "paper", cache=cache)
    assert code["lds"]["value"] != paper["lds"]["value"]
    assert code["cds"]["value"] == paper["cds"]["value"]
    assert {row["preset"] for row in paper.values()} == {"paper"}


def test_distances_to_a_reference(
    images: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = rows(capsys, SPACE, images, "--reference", images, cache=cache)
    assert same["ssw"]["value"] == 0
    assert same["cfd"]["value"] == pytest.approx(0, abs=1e-6)
    swapped = _folder(tmp_path, np.roll(EMOJI, (16, 16), axis=(1, 2)))
    moved = rows(capsys, SPACE, swapped, "--reference", images, cache=cache)
    assert list(moved)[4:] == [
        "ssw",
        *(f"{kind}-{name}" for kind in ("ssw", "shift") for name in ("lds", "cds", "rmsc")),
        "cfd",
        "lsd",
    ]
    assert (moved["lsd"]["n"], moved["lsd"]["n_reference"]) == (20, 20)
    assert moved["ssw"]["value"] > moved["ssw"]["floor"] > 0
    assert moved["lsd"]["value"] > 5 * moved["lsd"]["stderr"]


def test_the_correlogram(images: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    genbench_spatial(SPACE, images, "--correlogram", "--format", "json", cache=cache)
    printed = json.loads(capsys.readouterr().out)
    assert [(row["distance"], row["pairs"]) for row in printed] == list(enumerate(GRID.pairs.tolist()))
    assert [row["value"] for row in printed] == pytest.approx(correlograms(tokens()).mean(dim=0).numpy(), abs=1e-5)
    with pytest.raises(UsageError, match="neither --masks nor --reference"):
        genbench_spatial(SPACE, images, "--correlogram", "--reference", images, cache=cache)


def test_shards_change_nothing(
    images: Path, cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = rows(capsys, SPACE, images, cache=cache)
    monkeypatch.setattr("genbench.shards.SHARD_IMAGES", 7)
    parts = rows(capsys, SPACE, images, cache=tmp_path)
    # Three of each of the two spaces that are kept, and none of tokens.
    assert len(list(tmp_path.rglob("*.npy"))) == 6
    assert not list(tmp_path.rglob("*tokens*"))
    for metric in ("lds", "cds", "rmsc"):
        assert parts[metric]["value"] == pytest.approx(whole[metric]["value"], abs=1e-6)
        assert parts[metric]["n"] == 20


def test_limit_takes_the_first_images_of_the_measured_set_only(
    images: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rows(capsys, SPACE, images, "--limit", "5", "--reference", images, cache=cache)
    assert (found["ssw"]["n"], found["ssw"]["n_reference"]) == (5, 20)


def test_masks_of_other_images_are_refused(images: Path, cache: Path, tmp_path: Path) -> None:
    masks = _folder(tmp_path, (BRIGHT * 255).astype(np.uint8))
    (masks / "07.png").rename(masks / "07b.png")
    with pytest.raises(UsageError, match=r"mask 07b.png stands where image 07.png"):
        genbench_spatial(SPACE, images, "--masks", masks, cache=cache)
    (masks / "07b.png").unlink()
    with pytest.raises(UsageError, match="19 masks for 20 images"):
        genbench_spatial(SPACE, images, "--masks", masks, cache=cache)


def test_masks_of_another_size_than_their_images_are_refused(images: Path, cache: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "masks.npy", np.full((20, 32, 16, 3), 255, np.uint8))
    with pytest.raises(UsageError, match=r"mask \[0\] is 16x32, its image 00.png 32x32") as caught:
        genbench_spatial(SPACE, images, "--masks", tmp_path / "masks.npy", cache=cache)
    assert "the size of its image" in caught.value.hint
    mixed, masks = tmp_path / "mixed", tmp_path / "masks"
    for folder, sizes in ((mixed, [(40, 32), (32, 40)]), (masks, [(40, 32), (32, 32)])):
        folder.mkdir()
        _folder(folder, [np.full((*size, 3), 9, np.uint8) for size in sizes])
    with pytest.raises(UsageError, match=r"mask 01.png is 32x32, its image 01.png 40x32"):
        genbench_spatial(SPACE, mixed, "--masks", masks, cache=cache)


def test_masks_in_an_array_are_matched_by_order(
    images: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "masks.npy", np.repeat(BRIGHT[..., None], 3, axis=-1).astype(np.uint8))
    found = rows(capsys, SPACE, images, "--masks", tmp_path / "masks.npy", cache=cache)
    assert found["srss"]["value"] is not None


def test_empty_masks_are_an_error_that_says_so(images: Path, cache: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "masks.npy", np.zeros((20, 32, 32, 3), np.uint8))
    with pytest.raises(FeatureError, match="none of 20 images has a value"):
        genbench_spatial(SPACE, images, "--masks", tmp_path / "masks.npy", cache=cache)


def test_spaces_without_tokens_are_refused_with_those_that_have_them() -> None:
    with pytest.raises(UsageError, match="one vector an image") as pooled:
        token_space("effnet-lite0")
    assert SPACE in pooled.value.hint
    with pytest.raises(UsageError, match="no token space named") as unknown:
        token_space("effnet-lite0/token")
    assert SPACE in unknown.value.hint
