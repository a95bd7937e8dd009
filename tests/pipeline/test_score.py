"""`genbench score`: images that exist already, in any container, against images, statistics or a suite."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.features import spaces
from genbench.features.extractor import load_extractors
from genbench.images import emoji32
from genbench.metrics.catalog import parse
from genbench.metrics.measure import measure_all
from genbench.metrics.reference import Reference

if TYPE_CHECKING:
    from tests.pipeline.conftest import Answer, World

SPACE = "effnet-lite0"
FOUR = ",".join(f"{statistic}@{SPACE}" for statistic in ("fd", "kd", "precision", "recall"))
ONE = f"kd@{SPACE}"


def rows(answer: Answer) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(answer.ok().out)
    return listed


def value(answer: Answer) -> float:
    (row,) = rows(answer)
    return float(row["value"])


def zipped(folder: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    return path


def test_two_sets_of_images_give_what_the_metrics_give_on_their_features(
    world: World, emoji: Path, other_emoji: Path
) -> None:
    found = rows(world.score(emoji, "--reference", other_emoji, "--metrics", FOUR, "--format", "json"))
    assert [list(row) for row in found] == [["metric", "space", "value", "stderr", "n", "n_reference"]] * 4

    # Expected: the metrics called directly, on features of the same arrays.
    space = spaces.get(SPACE)
    extract = load_extractors([space], device="cpu", cache=world.cache)
    test = torch.from_numpy(emoji32.load("test").images.transpose(0, 3, 1, 2).copy())
    ours, theirs = (extract(test[part])[SPACE].numpy() for part in (slice(24), slice(24, 44)))
    metrics = [parse(name) for name in FOUR.split(",")]
    reference = Reference.from_features(theirs, space=SPACE, space_digest=space.digest)
    expected = measure_all(metrics, {SPACE: ours}, {SPACE: reference})
    for row, metric in zip(found, metrics, strict=True):
        measurement = expected[metric.id]
        assert (row["metric"], row["space"], row["n"], row["n_reference"]) == (metric.id, SPACE, 24, 20)
        assert row["value"] == pytest.approx(measurement.value, rel=1e-6)
        assert row["stderr"] == pytest.approx(measurement.stderr, rel=1e-5)


def test_a_set_of_images_is_at_no_distance_from_itself(world: World, emoji: Path) -> None:
    fd, precision = rows(
        world.score(emoji, "--reference", emoji, "--metrics", f"fd@{SPACE},precision@{SPACE}", "--format", "json")
    )
    # Float64 rounding of traces of about 100 in 1,280 dimensions.
    assert fd["value"] == pytest.approx(0, abs=1e-6)
    assert precision["value"] == 1


def test_the_container_changes_nothing_and_a_second_look_is_free(
    world: World, emoji: Path, other_emoji: Path, tmp_path: Path
) -> None:
    def score(path: Path, *options: str) -> Answer:
        return world.score(path, "--reference", other_emoji, "--metrics", ONE, "--format", "json", *options)

    expected = value(score(emoji))
    features = sorted(world.features.rglob("*.npy"))
    assert len(features) == 2
    before = world.state()
    assert value(score(emoji, "--no-record")) == expected
    assert world.state() == before, "neither a record nor a shard is written"
    # A folder and an archive of it are the same images: nothing is extracted again.
    archive = zipped(emoji, tmp_path / "emoji.zip")
    assert value(score(archive, "--no-record")) == expected
    assert world.state() == before
    array = tmp_path / "emoji.npy"
    np.save(array, emoji32.load("test").images[:24])
    assert value(score(array, "--batch-size", "5")) == pytest.approx(expected, rel=1e-5)


def test_a_score_is_kept_as_a_record(world: World, emoji: Path, other_emoji: Path) -> None:
    answer = world.score(emoji, "--reference", other_emoji, "--metrics", ONE).ok()
    (record,) = world.records()
    assert (record.kind, record.suite, record.run, record.limited) == ("score", None, None, False)
    assert record.images.source == str(emoji)
    assert record.reference.name == str(other_emoji)
    assert record.reference.n == {SPACE: 20}
    assert f"record {world.results / 'score' / emoji.name / record.id}.json" in answer.err
    assert answer.out.split()[:6] == ["metric", "space", "value", "±", "stderr", "n"]
    assert [row["images_source"] for row in world.rows("FROM runs")] == [str(emoji)]


def test_a_limit_takes_the_first_images(world: World, emoji: Path, other_emoji: Path) -> None:
    (row,) = rows(world.score(emoji, "--reference", other_emoji, "--metrics", ONE, "--limit", "7", "--format", "json"))
    assert row["n"] == 7
    assert [record.limited for record in world.records()] == [True]


def test_stored_and_packaged_statistics_are_references(
    world: World, emoji: Path, other_emoji: Path, tmp_path: Path
) -> None:
    space = spaces.get(SPACE)
    extract = load_extractors([space], device="cpu", cache=world.cache)
    other = torch.from_numpy(emoji32.load("test").images[24:44].transpose(0, 3, 1, 2).copy())
    path = tmp_path / "other.safetensors"
    Reference.from_features(extract(other)[SPACE].numpy(), space=SPACE, space_digest=space.digest).save(path)
    options = ("--metrics", f"fd@{SPACE}", "--format", "json", "--no-record")
    stored = value(world.score(emoji, "--reference", path, *options))
    # The file holds the covariance in float32.
    assert stored == pytest.approx(value(world.score(emoji, "--reference", other_emoji, *options)), rel=1e-5)
    (packaged,) = rows(world.score(emoji, "--reference", "emoji32-train", *options))
    assert packaged["n_reference"] == 3404


def test_the_fields_metrics_are_the_default(world: World, emoji: Path, other_emoji: Path) -> None:
    found = rows(world.score(emoji, "--reference", other_emoji, "--limit", "8", "--format", "json", "--no-record"))
    assert [row["metric"] for row in found] == ["fid", "kid", "precision", "recall"]
    assert {row["space"] for row in found} == {"inception-tf"}


def test_as_a_suite_does(world: World, emoji: Path) -> None:
    answer = world.score(emoji, "--suite", "cheap").ok()
    assert "the first 6 of 24 images are measured, as suite cheap asks" in answer.err
    (record,) = world.records()
    assert record.suite
    assert (record.suite.id, record.images.n, record.limited) == ("cheap", 6, False)
    assert [m.metric for m in record.measurements] == [f"precision@{SPACE}"]


def test_fewer_images_than_the_suite_asks_for(world: World, other_emoji: Path) -> None:
    said, advised = world.score(other_emoji, "--suite", "tiny").problem(2)
    assert said == f"{other_emoji}: 20 images, suite tiny asks for 24"
    assert "--limit 20" in advised
    assert world.records() == []
    world.score(other_emoji, "--suite", "tiny", "--limit", "20").ok()
    (record,) = world.records()
    assert (record.limited, record.images.n) == (True, 20)
    assert world.rows("FROM leaderboard") == []


def images(folder: Path, count: int, *, side: int = 32) -> Path:
    folder.mkdir()
    for index, image in enumerate(emoji32.load("test").images[:count]):
        Image.fromarray(image).resize((side, side)).save(folder / f"{index}.png")
    return folder


def truncated_png(root: Path) -> Path:
    folder = images(root / "images", 4)
    file = folder / "2.png"
    file.write_bytes(file.read_bytes()[:-40])
    return folder


def truncated_zip(root: Path) -> Path:
    path = zipped(images(root / "images", 4), root / "images.zip")
    path.write_bytes(path.read_bytes()[:-40])
    return path


def no_images(root: Path) -> Path:
    folder = root / "images"
    folder.mkdir()
    (folder / "readme.txt").write_text("no image")
    return folder


def float_npz(root: Path) -> Path:
    path = root / "images.npz"
    np.savez(path, np.zeros((4, 32, 32, 3), np.float32))
    return path


def foreign_npz(root: Path) -> Path:
    path = root / "images.npz"
    np.savez(path, pictures=np.zeros((4, 32, 32, 3), np.uint8))
    return path


def one_image(root: Path) -> Path:
    return images(root / "images", 1)


def of_unknown_kind(root: Path) -> Path:
    path = root / "images.rar"
    path.write_bytes(b"Rar!")
    return path


def nowhere(root: Path) -> Path:
    return root / "images"


@pytest.mark.parametrize(
    ("make", "error", "hint"),
    [
        (truncated_png, "2.png", ""),
        (truncated_zip, "images.zip", ""),
        (no_images, "holds no images", ".png"),
        (float_npz, "holds float32, not uint8", "np.uint8"),
        (foreign_npz, "has no array named arr_0 (its keys: pictures)", "np.savez"),
        (one_image, "", ""),
        (of_unknown_kind, "not a source of images", ".zip"),
        (nowhere, "no such file or folder", "check the path"),
    ],
)
@pytest.mark.parametrize("side", ["scored", "reference"])
def test_images_that_cannot_be_measured(
    world: World, tmp_path: Path, other_emoji: Path, make: Callable[[Path], Path], error: str, hint: str, side: str
) -> None:
    bad = make(tmp_path)
    path, reference = (bad, other_emoji) if side == "scored" else (other_emoji, bad)
    said, advised = world.score(path, "--reference", reference, "--metrics", f"fd@{SPACE}").problem(2)
    assert error in said
    assert hint in advised
    assert world.records() == []


def test_images_of_a_size_that_the_suite_forbids(world: World, tmp_path: Path) -> None:
    folder = images(tmp_path / "images", 5)
    Image.new("RGB", (40, 32)).save(folder / "5.png")
    said, advised = world.score(folder, "--suite", "cheap").problem(2)
    assert said == f"{folder}: the suite asks for images of 32x32, found 1 of 40x32"
    assert "score them without --suite" in advised
    assert world.records() == []
    # Whatever the cache already knows of these images, they are refused again.
    world.score(folder, "--suite", "cheap").problem(2)
    mixed = world.score(folder, "--reference", folder, "--metrics", ONE).ok()
    assert "Images have 2 sizes" in mixed.err


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        ((), "give one of --reference, --suite and --originals", "--reference FOLDER"),
        (("--reference", "emoji32-train", "--suite", "tiny"), "give one of --reference, --suite and --originals", ""),
        (("--suite", "tiny", "--metrics", "fid"), "--metrics and --suite exclude each other", ""),
        (("--suite", "tinny"), "no suite named 'tinny'", "did you mean tiny?"),
        (("--reference", "emoji32-trian"), "no reference named 'emoji32-trian'", "did you mean emoji32-train"),
        (("--reference", "missing.safetensors", "--metrics", "fid"), "missing.safetensors: no such", ""),
        (("--reference", "emoji32-train", "--metrics", "fdi"), "no metric named 'fdi'", "fid"),
        (("--reference", "emoji32-train", "--metrics", "fd@incepton-tf"), "'incepton-tf'", "inception-tf"),
        (("--reference", "emoji32-train", "--metrics", ","), "no metric is asked for", ""),
        (("--reference", "emoji32-train", "--limit", "0"), "--limit", "`genbench score --help`"),
        (("--reference", "emoji32-train", "--workers", "0"), "--workers", "`genbench score --help`"),
        (("--reference", "emoji32-train", "--device", "nonsense"), "--device nonsense", "show environment"),
        (("--reference", "emoji32-train", "--format", "xml"), "--format", "`genbench score --help`"),
    ],
)
def test_misuse(world: World, emoji: Path, options: tuple[str, ...], error: str, hint: str) -> None:
    said, advised = world.score(emoji, *options).problem(2)
    assert error in said
    assert hint in advised
    assert world.records() == []
    assert world.shards() == []


def test_statistics_of_another_space(world: World, emoji: Path, tmp_path: Path) -> None:
    features = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    path = tmp_path / "mine.safetensors"
    Reference.from_features(features, space="inception-tf", space_digest="0" * 64).save(path)
    said, _ = world.score(emoji, "--reference", path, "--metrics", f"fd@{SPACE}").problem(2)
    assert "is of feature space inception-tf, but effnet-lite0 is asked for" in said
    assert world.records() == []


def test_results_that_cannot_be_written(world: World, emoji: Path) -> None:
    world.results.write_text("mine")
    said, advised = world.score(emoji, "--reference", "emoji32-train", "--metrics", ONE).problem(2)
    assert f"{world.results}: results cannot be written" in said
    assert "--results" in advised
    assert world.results.read_text() == "mine"
    assert world.shards() == []
