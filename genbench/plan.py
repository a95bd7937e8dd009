"""Plans: the work that remains, as data; and the labels of a suite's images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.errors import UsageError
from genbench.shards import Shard
from genbench.suites import LabelPolicy

_LABEL_SEED = 20_260_101
"""Fixes the order in which the empirical and uniform policies hand labels out; part of their definition."""


class Work(NamedTuple):
    """One shard to make, and the spaces it is missing in."""

    shard: Shard
    spaces: tuple[str, ...]


class Plan(NamedTuple):
    """What is missing of one set of images."""

    work: tuple[Work, ...]
    images: int
    """In all shards, made or not."""

    @property
    def missing(self) -> int:
        """Images that have to be made or read."""
        return sum(work.shard.size for work in self.work)


def make_plan(shards: Sequence[Shard], spaces: Sequence[str], present: Callable[[str, Shard], bool]) -> Plan:
    """The shards that are not present in every space."""
    work = []
    for shard in shards:
        missing = tuple(space for space in spaces if not present(space, shard))
        if missing:
            work.append(Work(shard, missing))
    return Plan(tuple(work), sum(shard.size for shard in shards))


def labels(
    policy: LabelPolicy, positions: range, *, classes: int, training_labels: npt.NDArray[np.int64] | None
) -> npt.NDArray[np.int64]:
    """Labels of the images at `positions` of a seed block, (N,). A label depends on its own position alone.

    ``balanced`` goes through the classes in turn; ``uniform`` draws each with equal chance; ``empirical`` goes through
    the training labels in a fixed shuffled order, so that every stretch has about the training set's shares.
    An unconditional model (no classes) gets zeros.

    Raises `UsageError` for the empirical policy where the data set's labels are not known.
    """
    index = np.arange(positions.start, positions.stop)
    if classes == 0:
        return np.zeros(len(index), np.int64)
    if policy == "balanced":
        return index % classes
    if policy == "uniform":
        draws = np.random.Generator(np.random.Philox(key=_LABEL_SEED)).random(positions.stop)
        return (draws[index] * classes).astype(np.int64)
    if training_labels is None:
        raise UsageError(
            "the empirical label policy needs the data set's training labels, which genbench does not carry",
            hint='use labels = "balanced" or "uniform" in the suite',
        )
    order = np.random.Generator(np.random.Philox(key=_LABEL_SEED)).permutation(len(training_labels))
    return training_labels[order[index % len(order)]]
