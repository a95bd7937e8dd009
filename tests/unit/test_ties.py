"""Ranks by tie group: expected ones by hand, and by the definition without its shortcuts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from genbench.comparisons.differences import difference
from genbench.comparisons.influences import Influences
from genbench.comparisons.measured import Measured, MetricKey, load
from genbench.comparisons.significance import is_significant
from genbench.comparisons.ties import board_ranks, tie_ranks
from genbench.contributions import influence_table
from genbench.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import Add

FD = MetricKey("fd@inception-tf", 1)
DIGEST = "5" * 64


def ranks(results: Path, metric: MetricKey = FD, cache: Path | None = None) -> dict[str, int | None]:
    with Store.open(results) as store:
        return board_ranks(store, DIGEST, 256, metric, cache=cache)


def test_who_cannot_be_told_from_the_best_shares_their_rank(tmp_path: Path, add: Add) -> None:
    # 2.58 errors of a difference are 3.64: a and b, b and c are alike; a and c are not. d's own error is wide: it is
    # behind nobody, and at 23.3 not ahead of e.
    values = {"a": (10.0, 1.0), "b": (12.5, 1.0), "c": (15.0, 1.0), "d": (16.0, 9.0), "e": (38.0, 1.0)}
    for number, (name, value) in enumerate(values.items()):
        add(tmp_path, number, f"toy@{name}", {FD.metric: value})
    assert ranks(tmp_path) == {"toy@a": 1, "toy@b": 1, "toy@c": 2, "toy@d": 1, "toy@e": 4}


def test_rank_follows_the_direction_and_needs_an_error(tmp_path: Path, add: Add) -> None:
    metric = MetricKey("precision@toy", 1)
    for number, value in enumerate([(0.5, 0.01), (0.7, 0.01), (0.9, None)]):
        add(tmp_path, number, f"toy@{number}", {metric.metric: value})
    assert ranks(tmp_path, metric) == {"toy@0": 2, "toy@1": 1, "toy@2": None}


def test_pairing_by_image_tells_apart_what_independent_errors_do_not(tmp_path: Path, add: Add) -> None:
    generator = np.random.default_rng(0)
    shared = generator.standard_normal(256)
    for number, name in enumerate("ab"):
        influence = 16 * shared + generator.standard_normal(256)
        table = f"features/{name}.parquet"
        (tmp_path / "cache" / "features").mkdir(parents=True, exist_ok=True)
        (tmp_path / "cache" / table).write_bytes(influence_table({FD.metric: influence}, np.arange(256), None))
        add(tmp_path / "results", number, f"toy@{name}", {FD.metric: (10.0 + number, 1.0)}, influence=table)
    assert ranks(tmp_path / "results") == {"toy@a": 1, "toy@b": 1}
    assert ranks(tmp_path / "results", cache=tmp_path / "cache") == {"toy@a": 1, "toy@b": 2}


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_shortcuts_change_no_rank(tmp_path: Path, add: Add, blocks: int) -> None:
    draw = random.Random(blocks)
    for number in range(40):
        for block in range(1 if number % 3 else blocks):
            value = {FD.metric: (draw.uniform(0, 20), draw.choice([0.1, 1.0, 4.0]))}
            add(tmp_path, blocks * number + block, f"toy@{number}", value, block=block)
    with Store.open(tmp_path) as store:
        runs = load(store, [record_id for (record_id,) in store.query("SELECT record_id FROM counted").rows])
    influences = Influences(None)
    expected = {
        run.name: 1
        + sum(
            found.value > 0 and is_significant(found.value, found.stderr)
            for other in runs
            for found in [difference(other, run, FD, influences)]
            # Runs are compared in the order of their means; blocks that one lacks can turn a pair round.
            if _mean(other) < _mean(run)
        )
        for run in runs
    }
    assert tie_ranks(runs, FD, influences) == expected
    assert len(set(expected.values())) > 5


def test_runs_of_one_rank_are_not_told_apart(tmp_path: Path, add: Add) -> None:
    draw = random.Random(0)
    for number in range(60):
        add(tmp_path, number, f"toy@{number}", {FD.metric: (draw.uniform(0, 20), draw.choice([0.1, 1.0, 4.0]))})
    with Store.open(tmp_path) as store:
        runs = load(store, [record_id for (record_id,) in store.query("SELECT record_id FROM counted").rows])
    influences = Influences(None)
    found = tie_ranks(runs, FD, influences)
    tied = [(one, other) for one in runs for other in runs if one != other and found[one.name] == found[other.name]]
    assert len(tied) > 20
    for one, other in tied:
        gap = difference(one, other, FD, influences)
        assert not is_significant(gap.value, gap.stderr)


def _mean(run: Measured) -> float:
    values = run.values[FD].values()
    return sum(value.value for value in values) / len(values)
