"""Classes and held-out images: from the suite, or the folders that images lie in, to records and the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest
from PIL import Image

from genbench.features import spaces
from genbench.images import emoji32
from genbench.metrics.catalog import parse
from genbench.metrics.labels import Labels
from genbench.metrics.measure import measure_all
from genbench.metrics.reference import Reference
from genbench.paths import data_folders
from genbench.references import reference_file

if TYPE_CHECKING:
    from tests.pipeline.conftest import Measured, World

SPACE = "effnet-lite0"
LOGITS = f"{SPACE}/logits"
METRICS = (*(f"{name}@{SPACE}" for name in ("fd", "fd-per-class", "fld", "authpct")), f"is@{LOGITS}")


def packaged(split: str) -> Reference:
    (path,) = [
        p for f in data_folders("registry", None) if (p := f / reference_file(f"emoji32-{split}", SPACE)).exists()
    ]
    return Reference.load(path)


def add_sided_suite(world: World, *metrics: str, held_out: str = 'held_out = "emoji32-test"\n') -> Path:
    path = world.add_suite("sided", images=36, metrics=metrics or METRICS)
    path.write_text(held_out + path.read_text().replace('"empirical"', '"balanced"').replace("tiny@*", "tiny@ode2"))
    return path


def class_folders(world: World, root: Path, *, n: int = 45) -> Path:
    """The first test images of each class of emoji32, in one folder a class; returns `root`."""
    data = emoji32.load("test")
    for number, name in enumerate(emoji32.CLASSES):
        (root / name).mkdir(parents=True)
        for i in np.flatnonzero(data.labels == number)[: n // 9]:
            Image.fromarray(data.images[i]).save(root / name / f"{i:04d}.png")
    return root


@pytest.fixture(scope="module")
def sided(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = measured.world.copy(tmp_path_factory.mktemp("sided") / "world")
    add_sided_suite(world)
    world.run("sided").ok()
    return world


def test_a_run_is_measured_with_classes_and_held_out_images(sided: World) -> None:
    (record,) = [r for r in sided.records() if r.suite and r.suite.id == "sided"]
    assert record.held_out is not None
    assert (record.held_out.name, record.held_out.n) == ("emoji32-test", {SPACE: 377})
    # Expected: the metrics called directly on the features in the cache, classes going round as "balanced" says.
    shards = sided.features / record.images.digest
    (features,), (logits,) = (shards.glob(f"{name}-*/*.npy") for name in (SPACE, LOGITS.replace("/", "_")))
    expected = measure_all(
        [parse(name) for name in METRICS],
        {SPACE: np.load(features), LOGITS: np.load(logits)},
        {SPACE: packaged("train")},
        held_out={SPACE: packaged("test")},
        labels=Labels(np.arange(36) % 9),
    )
    for found in record.measurements:
        assert found.value == pytest.approx(expected[found.metric].value, rel=1e-9)
        assert found.spread == expected[found.metric].spread
    stored = sided.rows("select metric, spread from measurements where spread is not null")
    assert stored == [{"metric": f"is@{LOGITS}", "spread": record.measurements[-1].spread}]


def test_contributions_of_classes_are_kept(sided: World) -> None:
    rows = sided.rows("FROM class_contributions JOIN runs USING (record_id) WHERE suite = 'sided' ORDER BY label")
    assert [(row["metric"], row["label"], row["name"], row["n"]) for row in rows] == [
        (f"fd@{SPACE}", number, name, 4) for number, name in enumerate(emoji32.CLASSES)
    ]
    largest = max(abs(row["contribution"]) for row in rows)
    assert sum(row["contribution"] for row in rows) == pytest.approx(0, abs=1e-9 * largest)
    assert largest > 0

    (path,) = {row["influence"] for row in rows}
    with duckdb.connect() as connection:
        table = connection.read_parquet(str(sided.cache / path))
        assert table.columns == ["image", "class", SPACE]
        means = table.aggregate(f'class, avg("{SPACE}") AS mean', "class").order("class").fetchall()
    assert [mean for _, mean in means] == pytest.approx([row["contribution"] for row in rows], rel=1e-9)


def test_a_suite_brings_classes_and_held_out_images_to_stored_images(world: World, tmp_path: Path) -> None:
    add_sided_suite(world)
    images = class_folders(world, tmp_path / "images", n=36)
    world.score(images, "--suite", "sided").ok()
    (record,) = world.records()
    assert {m.metric for m in record.measurements} == {parse(name).id for name in METRICS}
    assert {c.name for c in record.contributions} == set(emoji32.CLASSES)


def test_images_in_class_folders_against_others(world: World, tmp_path: Path) -> None:
    images = class_folders(world, tmp_path / "images")
    options = ("--reference", images, "--held-out", "emoji32-test", "--metrics", f"fd-per-class@{SPACE},fld@{SPACE}")
    world.score(images, *options).ok()
    (record,) = world.records()
    values = {m.statistic: m.value for m in record.measurements}
    # Each class against itself.
    assert values["fd-per-class"] == pytest.approx(0, abs=1e-6)
    assert record.held_out is not None
    assert record.held_out.name == "emoji32-test"


@pytest.mark.parametrize(
    ("metrics", "held_out", "error", "hint"),
    [
        ((f"fld@{SPACE}",), "", "fld@effnet-lite0 reads held-out real images", "`held_out` in a suite"),
        ((f"fd@{SPACE}",), 'held_out = "emoji32-test"\n', "none of its metrics reads any", "delete held_out"),
        ((f"c-t@{SPACE}",), 'held_out = "emoji32-tset"\n', "no reference named 'emoji32-tset'", "emoji32-test"),
    ],
)
def test_a_suite_without_what_its_metrics_need_samples_nothing(
    world: World, metrics: tuple[str, ...], held_out: str, error: str, hint: str
) -> None:
    add_sided_suite(world, *metrics, held_out=held_out)
    said, advised = world.run("sided").problem(2)
    assert error in said
    assert hint in advised
    assert world.shards() == []


def test_a_run_without_classes_is_refused_before_it_is_sampled(world: World) -> None:
    add_sided_suite(world, f"fd-per-class@{SPACE}", held_out="")
    card = (world.registry / "tiny.toml").read_text()
    world.add_card(card.replace("\nclasses = 9", "\nclasses = 0"))
    said, advised = world.run("sided").problem(2)
    assert said == f"fd-per-class@{SPACE} is taken class by class, and tiny@ode2 has no classes"
    assert "-m" in advised
    assert world.shards() == []


@pytest.mark.parametrize(
    ("options", "error", "hint"),
    [
        (("--metrics", f"fld@{SPACE}"), f"fld@{SPACE} reads held-out real images", "--held-out"),
        (("--metrics", f"fd-per-class@{SPACE}"), "the classes of the images are not known", "one folder a class"),
        (("--metrics", f"fd@{SPACE}", "--held-out", "emoji32-test"), "--held-out is given", "leave it out"),
    ],
)
def test_a_score_without_what_its_metrics_need_extracts_nothing(
    world: World, emoji: Path, options: tuple[str, ...], error: str, hint: str
) -> None:
    said, advised = world.score(emoji, "--reference", "emoji32-train", *options).problem(2)
    assert error in said
    assert hint in advised
    assert world.shards() == []


def test_the_reference_of_a_class_by_class_metric_has_classes(world: World, emoji: Path, tmp_path: Path) -> None:
    images = class_folders(world, tmp_path / "images")
    said, _ = world.score(images, "--reference", emoji, "--metrics", f"fd-per-class@{SPACE}").problem(2)
    assert said == f"fd-per-class@{SPACE} is taken class by class, and the reference's classes are not known"


def test_a_class_without_reference_images_is_named(world: World, tmp_path: Path) -> None:
    images = class_folders(world, tmp_path / "images")
    (images / "Flags").rename(images / "Banners")
    data = emoji32.load("test")
    (images / "Flags").mkdir()
    for i in np.flatnonzero(data.labels == emoji32.CLASSES.index("Flags"))[:2]:
        Image.fromarray(data.images[i]).save(images / "Flags" / f"{i:04d}.png")
    said, _ = world.score(images, "--reference", "emoji32-train", "--metrics", f"fd-per-class@{SPACE}").problem(2)
    assert said.startswith("class Banners has no reference images")


def test_spaces_are_those_of_the_reference() -> None:
    assert packaged("test").space_digest == packaged("train").space_digest == spaces.get(SPACE).digest
