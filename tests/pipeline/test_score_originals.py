"""`genbench score --originals`: reconstructions against the images that they were made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.features.pairs import psnr, ssim

if TYPE_CHECKING:
    from tests.pipeline.conftest import Answer, World

SPACE = "effnet-lite0"


@pytest.fixture(scope="module")
def jpegs(tmp_path_factory: pytest.TempPathFactory, emoji: Path) -> Path:
    """The emoji as a lossy codec gives them back."""
    folder = tmp_path_factory.mktemp("jpegs")
    for path in emoji.iterdir():
        Image.open(path).convert("RGB").save(folder / f"{path.stem}.jpg", quality=30)
    return folder


def pixels(folder: Path) -> torch.Tensor:
    images = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())]
    return torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())


def rows(answer: Answer) -> dict[str, dict[str, Any]]:
    return {row["metric"]: row for row in json.loads(answer.ok().out)}


def test_pairs_and_sets_are_measured_and_recorded(world: World, emoji: Path, jpegs: Path) -> None:
    asked = f"psnr,ssim,rfd@{SPACE}"
    found = rows(world.score(jpegs, "--originals", emoji, "--metrics", asked, "--format", "json"))
    # Expected: the functions on the pixels, which unit tests compare with scikit-image.
    for name, peer in (("psnr", psnr), ("ssim", ssim)):
        values = peer(pixels(jpegs), pixels(emoji)).numpy()
        assert found[name]["value"] == pytest.approx(values.mean(), rel=1e-6)
        assert found[name]["stderr"] == pytest.approx(values.std(ddof=1) / 24**0.5, rel=1e-4)
        assert (found[name]["n"], found[name]["n_reference"]) == (24, 24)
    fd = rows(world.score(jpegs, "--reference", emoji, "--metrics", f"fd@{SPACE}", "--format", "json"))
    assert found[f"rfd@{SPACE}"]["value"] == fd[f"fd@{SPACE}"]["value"] > 0
    (record,) = [r for r in world.records() if len(r.measurements) == 3]
    assert record.reference.name == str(emoji)
    assert set(record.reference.sha256) == {"pixels/psnr", "pixels/ssim", SPACE}
    assert len(set(record.reference.sha256.values())) == 1


def test_fast_features_of_sets_beside_exact_pairs(world: World, emoji: Path, jpegs: Path) -> None:
    options = ("--originals", emoji, "--metrics", "psnr,rfid", "--format", "json")
    exact, fast = (rows(world.score(jpegs, *options, "--precision", p)) for p in ("exact", "fast"))
    assert fast["psnr"]["value"] == exact["psnr"]["value"]
    assert fast["psnr"]["deviation"] is None
    change = fast["rfid"]["value"] - exact["rfid"]["value"]
    # All 24 images are among the first 256, so what fast features moved is the whole difference.
    assert fast["rfid"]["deviation"] == pytest.approx(change, rel=1e-6)
    assert change != 0
    assert [record.precision for record in world.records()] == ["exact", "fast"]


def test_pairs_alone_need_no_network(world: World, emoji: Path, jpegs: Path) -> None:
    answer = world.score(jpegs, "--originals", emoji, "--metrics", "psnr", "--limit", "5", "--format", "json")
    assert "warning" not in answer.err
    found = rows(answer)
    assert found["psnr"]["value"] == pytest.approx(psnr(pixels(jpegs)[:5], pixels(emoji)[:5]).mean().item(), rel=1e-6)
    assert [path.parent.name.partition("-")[0] for path in world.features.rglob("*.npy")] == ["pixels_psnr"]


@pytest.mark.parametrize("metric", ["psnr", "rfid", "fd@pixels/psnr"])
def test_what_compares_with_originals_is_refused_without_them(world: World, emoji: Path, metric: str) -> None:
    before = world.state()
    error, hint = world.score(emoji, "--reference", emoji, "--metrics", metric).problem(2)
    assert error.startswith(f"{metric} compares images with the originals")
    assert "--originals ORIGINALS" in hint
    world.add_suite("pairs", metrics=[metric])
    assert "compares images with the originals" in world.run("pairs").problem(2)[0]
    assert world.state() == before


def test_other_originals_are_refused(world: World, emoji: Path, other_emoji: Path, jpegs: Path) -> None:
    error, _ = world.score(jpegs, "--originals", other_emoji, "--metrics", "psnr").problem(2)
    assert "24 images for the 20 originals" in error
    error, hint = world.score(jpegs, "--originals", emoji, "--held-out", emoji).problem(2)
    assert error == "--held-out and --originals exclude each other"
    assert hint
    error, _ = world.score(emoji, "--originals", emoji, "--metrics", "psnr").problem(2)
    assert "24 of 24 images equal their originals" in error


def test_by_default_all_four_are_asked_for(world: World, emoji: Path, jpegs: Path, monkeypatch) -> None:
    monkeypatch.setenv("GENBENCH_OFFLINE", "1")
    error, hint = world.score(jpegs, "--originals", emoji).problem(2)
    assert "vgg16-397923af.pth is not on this machine" in error
    assert "https://download.pytorch.org/models/vgg16-397923af.pth" in hint
