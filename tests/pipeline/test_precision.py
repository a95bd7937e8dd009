"""`--precision fast`: fast features, exact references, and beside each value what that moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from genbench.features import spaces
from genbench.metrics.catalog import parse
from genbench.metrics.measure import measure_all
from genbench.metrics.reference import Reference
from genbench.paths import data_folders
from genbench.references import reference_file

if TYPE_CHECKING:
    from tests.pipeline.conftest import Measured, World

SPACE = "inception-tf"
FD = parse(f"fd@{SPACE}")


@pytest.fixture(scope="module")
def both(measured: Measured, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run measured exactly, and then fast."""
    world = measured.world.copy(tmp_path_factory.mktemp("both") / "world")
    world.add_suite("few", images=8, metrics=(FD.id,))
    for precision in ("exact", "fast"):
        world.run("few", "-m", "tiny@ode2", "--precision", precision).ok()
    return world


def features(world: World, images: str, precision: str) -> np.ndarray:
    folder = f"{SPACE}-{spaces.get(SPACE).at(precision).digest[:12]}"
    (shard,) = (world.features / images / folder).glob("*.npy")
    return np.load(shard).reshape(8, -1)


def test_values_are_of_fast_features_against_the_exact_reference(both: World) -> None:
    (record,) = [r for r in both.records() if r.precision == "fast"]
    assert record.spaces == {SPACE: spaces.get(SPACE).at("fast").digest}
    registry = next(f for f in data_folders("registry", None) if (f / "references").is_dir())
    reference = Reference.load(registry / reference_file("emoji32-train", SPACE))
    assert reference.space_digest == spaces.get(SPACE).digest

    # Expected: the metric called directly on the features in the cache. All 8 images are among the first 256.
    fast, exact = (
        measure_all([FD], {SPACE: features(both, record.images.digest, precision)}, {SPACE: reference})[FD.id].value
        for precision in ("fast", "exact")
    )
    (found,) = [m for m in record.measurements if m.metric == FD.id]
    assert found.value == pytest.approx(fast, rel=1e-9)
    assert found.deviation == pytest.approx(fast - exact, rel=1e-6)
    assert found.deviation_n == 8
    assert 0 < abs(fast - exact) < 0.05 * exact


def test_exact_and_fast_stand_in_leaderboards_of_their_own(both: World) -> None:
    rows = both.rows("SELECT DISTINCT precision, suite_digest, is_current, run FROM leaderboard WHERE suite = 'few'")
    digests = {row["precision"]: row["suite_digest"] for row in rows}
    assert digests["exact"] != digests["fast"]
    assert all(row["is_current"] for row in rows), "the latest of each precision"
    assert {row["run"] for row in rows if row["precision"] == "fast"} == {"tiny@ode2"}
    stored = both.rows(
        "SELECT precision, deviation, deviation_n FROM measurements JOIN runs USING (record_id) WHERE suite = 'few'"
    )
    assert {(row["precision"], row["deviation_n"]) for row in stored} == {("exact", None), ("fast", 8)}
    assert all((row["deviation"] is None) == (row["precision"] == "exact") for row in stored)


def test_what_was_measured_fast_is_not_measured_again(both: World) -> None:
    before = len(both.records())
    answer = both.run("few", "-m", "tiny@ode2", "--precision", "fast").ok()
    assert "already measured" in answer.err
    assert len(both.records()) == before


def test_a_score_says_what_fast_features_moved(world: World, emoji: Path, other_emoji: Path) -> None:
    options = ("--reference", other_emoji, "--metrics", FD.id, "--limit", "8", "--format", "json")
    (exact,), (fast,) = (
        json.loads(world.score(emoji, *options, "--precision", precision).ok().out) for precision in ("exact", "fast")
    )
    assert "deviation" not in exact
    assert fast["deviation_n"] == 8
    assert fast["value"] - exact["value"] == pytest.approx(fast["deviation"], rel=1e-6)


def test_a_deviation_that_few_images_cannot_tell_is_left_out(
    world: World, emoji: Path, other_emoji: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Balls of five neighbours want six images: 24 have them, 4 do not.
    monkeypatch.setattr("genbench.evaluation.DEVIATION_IMAGES", 4)
    options = ("--reference", other_emoji, "--metrics", "fd@effnet-lite0,recall-prdc@effnet-lite0")
    answer = world.score(emoji, *options, "--precision", "fast").ok()
    (record,) = world.records()
    fd, recall = record.measurements
    assert (fd.deviation_n, recall.deviation, recall.deviation_n) == (4, None, None)
    assert "Recall k=5 (effnet-lite0): no deviation from exact features can be told from 4 images" in answer.err
