"""`genbench run`: from cards and suites to records and a leaderboard."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.pipeline.conftest import Answer, Measured, World

RUNS = ["tiny@ode2", "tiny@ode3-cfg2", "tiny@sde2"]


def test_three_runs_end_in_a_leaderboard(measured: Measured) -> None:
    first = measured.first.ok()
    assert "plan: 3 to measure; 72 of 72 images to sample, features in effnet-lite0" in first.err
    board = first.out.splitlines()
    assert "FD (effnet-lite0) ↓" in board[0]
    assert "Recall (effnet-lite0) ↑" in board[0]
    assert sorted(line.split()[1] for line in board[2:5]) == RUNS
    assert "± is one standard error over draws of the generated images" in first.out
    assert "n = 24 in 1,280 dimensions is biased upwards" in first.out
    assert (measured.world.results / "genbench.duckdb").is_file()
    assert [row["run"] for row in measured.world.rows("SELECT DISTINCT run FROM leaderboard ORDER BY run")] == RUNS


def test_a_record_says_what_was_measured_how_and_at_what_cost(measured: Measured) -> None:
    world = measured.world
    weights = world.registry / "weights" / "tiny.safetensors"
    records = {record.run.name: record for record in world.records() if record.run}
    assert sorted(records) == RUNS
    for record in records.values():
        assert record.run
        assert (record.kind, record.limited, record.block) == ("run", False, 0)
        assert (record.images.source, record.images.n, record.images.first_seed) == ("sampler", 24, 0)
        assert record.images.labels == "empirical"
        assert record.reference.n == {"effnet-lite0": 3404}
        assert [m.metric.partition("@")[0] for m in record.measurements] == ["fd", "kd", "precision", "recall"]
        assert all(m.n == 24 and m.stderr is not None and math.isfinite(m.value) for m in record.measurements)
        assert record.run.weights_sha256 == hashlib.sha256(weights.read_bytes()).hexdigest()
        assert record.costs.weight_bytes == weights.stat().st_size
        assert record.costs.seconds_per_image
        assert (record.provenance.engine, record.costs.workers) == ("local", 1)
        assert record.costs.utilisation
        assert record.costs.utilisation <= 1, "one process does one thing at a time"
    # An ODE on a grid of s points takes s - 1 evaluations; an SDE one more for its last step.
    assert {name: record.costs.nfe for name, record in records.items()} == dict(zip(RUNS, (1, 2, 2), strict=True))
    assert len({record.images.digest for record in records.values()}) == 3
    chosen = records["tiny@ode2"].run
    assert chosen
    assert chosen.given == {"mode": "ode", "steps": 2}
    assert chosen.settings["integrator"] == "euler"


def test_the_preview_shows_the_first_images(measured: Measured) -> None:
    world = measured.world
    record = next(record for record in world.records() if record.run and record.run.name == "tiny@sde2")
    with Image.open(world.results / record.folder / f"{record.id}.png") as preview:
        drawn = np.asarray(preview.convert("RGB"))
    (kept,) = (world.features / record.images.digest / "preview").glob("*.npy")
    pixels = np.load(kept)
    assert pixels.shape == (24, 3, 32, 32)
    # Tiles of 3 x 32 pixels, 2 apart, 8 in a row: images 0 and 9.
    for index, (top, left) in {0: (2, 2), 9: (100, 100)}.items():
        tile = drawn[top : top + 96, left : left + 96]
        np.testing.assert_array_equal(tile[1::3, 1::3].transpose(2, 0, 1), pixels[index])


def test_the_same_command_again_does_nothing_and_says_so(measured: Measured) -> None:
    before = measured.world.state()
    again = measured.world.run("tiny").ok()
    assert "plan: 0 to measure; 3 already measured" in again.err
    assert again.err.count("already measured, nothing to do") == 3
    assert again.out == measured.first.out
    assert measured.world.state() == before


def test_what_is_measured_stays_measured_without_its_features(
    measured_copy: World, genbench: Callable[..., Answer]
) -> None:
    genbench("cache", "prune", "--all", "--cache", measured_copy.cache).ok()
    assert measured_copy.shards() == []
    again = measured_copy.run("tiny").ok()
    assert "plan: 0 to measure; 3 already measured" in again.err
    assert measured_copy.shards() == []


def test_a_dry_run_plans_and_writes_nothing(world: World) -> None:
    answer = world.run("tiny", "--dry-run").ok()
    assert answer.err.splitlines() == [
        "plan: 3 to measure; 72 of 72 images to sample, features in effnet-lite0",
        *(f"  {run}: 24 of 24 images to sample" for run in RUNS),
    ]
    assert answer.out == ""
    assert not world.results.exists()
    assert not world.cache.exists()


@pytest.mark.parametrize(
    ("options", "runs"),
    [
        (("-m", "tiny"), ["tiny@ode2"]),
        (("-m", "t*y@ode*"), ["tiny@ode2", "tiny@ode3-cfg2"]),
        (("-m", "tiny@sde2", "-m", "tiny@*2"), ["tiny@sde2", "tiny@ode2", "tiny@ode3-cfg2"]),
        (("-m", "tiny", "--set", "steps=2"), ["tiny@ode2"]),
        (("-m", "tiny", "--set", "steps=4", "--set", "cfg=1.5"), ["tiny@ode2+cfg=1.5+steps=4"]),
        (("-m", "tiny", "--set", "integrator=heun"), ["tiny@ode2+integrator=heun"]),
    ],
)
def test_runs_are_chosen_by_globs_and_changed_by_set(world: World, options: tuple[str, ...], runs: list[str]) -> None:
    plan = world.run("cheap", "--dry-run", *options).ok().err.splitlines()
    assert [line.split(":")[0].strip() for line in plan[1:]] == runs


def test_set_makes_a_run_of_its_own(world: World) -> None:
    world.run("cheap", "-m", "tiny").ok()
    board = world.run("cheap", "-m", "tiny", "--set", "steps=4").ok().out
    plain, changed = sorted(world.records(), key=lambda record: record.costs.nfe or 0)
    assert plain.run
    assert changed.run
    assert changed.run.name == "tiny@ode2+steps=4"
    assert changed.run.given == {"mode": "ode", "steps": 4}
    assert changed.costs.nfe == 3
    assert changed.run.digest != plain.run.digest
    assert {line.split()[1] for line in board.splitlines()[2:4]} == {"tiny@ode2", "tiny@ode2+steps=4"}


def test_a_limited_run_enters_no_leaderboard(world: World, genbench: Callable[..., Answer]) -> None:
    answer = world.run("cheap", "-m", "tiny", "--limit", "4").ok()
    assert "enter no leaderboard" in answer.err
    assert answer.out == ""
    (record,) = world.records()
    assert (record.limited, record.images.n) == (True, 4)
    assert world.rows("SELECT n, limited FROM runs") == [{"n": 4, "limited": True}]
    assert world.rows("FROM leaderboard") == []
    folders = ("--results", world.results, "--registry", world.registry, "--suites", world.suites)
    error, hint = genbench("leaderboard", "cheap", *folders).problem(2)
    assert "1 made with --limit do not count" in error
    assert hint == "`genbench run cheap`"


def test_one_block_has_its_own_seeds(world: World) -> None:
    world.run("blocks", "-m", "tiny", "--block", "1").ok()
    (record,) = world.records()
    assert (record.block, record.images.first_seed, record.images.n) == (1, 1_000_000, 6)
    again = world.run("blocks", "-m", "tiny", "--dry-run").ok().err
    assert "tiny@ode2 block 1/2: 6 of 6 images to sample" in again
    assert "tiny@ode2 block 2/2: already measured" in again


def test_kept_images_are_the_pixels_that_were_measured(world: World, tmp_path: Path) -> None:
    world.run("cheap", "-m", "tiny").ok()
    kept = tmp_path / "kept"
    world.run("cheap", "-m", "tiny", "--keep-images", kept).ok()
    assert len(world.records()) == 1, "asking for images of a measured run measures nothing again"
    files = sorted((kept / "tiny@ode2").iterdir())
    assert [file.name for file in files] == [f"{seed:010d}.png" for seed in range(6)]
    images = np.stack([np.asarray(Image.open(file)) for file in files]).transpose(0, 3, 1, 2)
    for space in ("pixels", "preview"):
        (shard,) = world.shards(space)
        np.testing.assert_array_equal(images, np.load(shard))


def test_a_run_that_fails_does_not_stop_the_next(world: World) -> None:
    card = (world.registry / "tiny.toml").read_text()
    misfit = card.replace('id = "tiny"', 'id = "misfit"').replace("variants.tiny", "variants.misfit")
    world.add_card(misfit.replace("depth = 1", "depth = 2"), "misfit")
    answer = world.run("cheap", "-m", "misfit", "-m", "tiny")
    assert answer.code == 1
    weights = world.registry / "weights" / "tiny.safetensors"
    assert f"error: misfit@ode2: {weights}: the weights do not fit the network: missing blocks.1." in answer.err
    assert "hint: check the card's network against the file" in answer.err
    assert [record.run.name for record in world.records() if record.run] == ["tiny@ode2"]
    assert "tiny@ode2" in answer.out
