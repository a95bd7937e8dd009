"""Ranks of a leaderboard: a run's rank is one more than the number of runs that are better for certain.

Runs that cannot be told from the best ones share rank 1, whatever the order of their values; so it is with every later
rank. Where A beats C, and B can be told from neither, A and B are first and C is second.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from genbench.comparisons.differences import difference, mean
from genbench.comparisons.influences import Influences
from genbench.comparisons.measured import Measured, MetricKey, load
from genbench.comparisons.significance import CONFIDENCE, is_significant, quantile
from genbench.store import Store


class _Standing(NamedTuple):
    """One run, by how it is ranked."""

    loss: float
    """Lower is better, whatever the metric's direction."""
    stderr: float
    run: Measured


def board_ranks(
    store: Store, suite_digest: str, n: int, metric: MetricKey, *, cache: Path | None = None
) -> dict[str, int | None]:
    """The rank of each run that the view `leaderboard` has for this protocol, number of images and metric.

    `cache` is the folder below which each image's influence lies: with it, images of one seed are compared with each
    other; without, errors are independent ones.
    """
    ids = store.query("SELECT record_id FROM counted WHERE suite_digest = ? AND n = ?", [suite_digest, n]).rows
    runs = load(store, [record_id for (record_id,) in ids], metric=metric.metric)
    return tie_ranks([run for run in runs if metric in run.values], metric, Influences(cache))


def tie_ranks(
    runs: Sequence[Measured], metric: MetricKey, influences: Influences, confidence: float = CONFIDENCE
) -> dict[str, int | None]:
    """The rank of each run by name, 1 for the best; None for a run whose value has no standard error.

    All runs must be of one protocol.
    """
    standings = sorted((s for run in runs if (s := _standing(run, metric)) is not None), key=lambda s: s.loss)
    losses = [standing.loss for standing in standings]
    widest = max((standing.stderr for standing in standings), default=0.0)
    steps = quantile(confidence)
    alike = len({tuple(sorted(standing.run.values[metric])) for standing in standings}) == 1
    ranks: dict[str, int | None] = {run.name: None for run in runs}
    for place, standing in enumerate(standings):
        # No correlation makes the error of a difference larger than the sum of both errors: these are better for sure.
        sure = bisect_left(losses, standing.loss - steps * (standing.stderr + widest)) if alike else 0
        doubtful = standings[sure:place]
        ranks[standing.run.name] = (
            1 + sure + sum(_beats(other, standing, metric, influences, confidence) for other in doubtful)
        )
    return ranks


def _standing(run: Measured, metric: MetricKey) -> _Standing | None:
    value = mean(run.values[metric].values())
    if value.stderr is None:
        return None
    return _Standing(value.value if run.directions[metric] == "lower" else -value.value, value.stderr, run)


def _beats(better: _Standing, worse: _Standing, metric: MetricKey, influences: Influences, confidence: float) -> bool:
    gap, steps = worse.loss - better.loss, quantile(confidence)
    same_blocks = better.run.values[metric].keys() == worse.run.values[metric].keys()
    if same_blocks and gap > steps * (better.stderr + worse.stderr):
        return True
    if same_blocks and gap <= steps * abs(better.stderr - worse.stderr):
        return False  # nor does any correlation make it smaller than this
    found = difference(better.run, worse.run, metric, influences)
    lost = found.value if better.run.directions[metric] == "lower" else -found.value
    return lost > 0 and is_significant(found.value, found.stderr, confidence)
