"""How far the images of two runs are from each other: the Fréchet distance of one set to the other.

A run and its quantised variant may be equally far from a reference and still make different images; papers on
quantisation therefore compare with the images of the full-precision parent.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.comparisons.differences import common_blocks
from genbench.comparisons.measured import Block, Measured
from genbench.errors import UsageError
from genbench.metrics.catalog import parse
from genbench.metrics.measure import measure
from genbench.metrics.reference import Reference
from genbench.shards import ShardCache, covering, space_folder


class Distance(NamedTuple):
    """One Fréchet distance between two sets of images."""

    metric: str
    """``fd@space``."""
    block: int
    """Seed block of both."""
    value: float
    """0 for equal features."""
    stderr: float | None
    """Over draws of the second run's images, the first's held fixed."""
    n: int
    """Images of each."""


def between(one: Measured, other: Measured, cache: Path) -> list[Distance]:
    """The distance of `other`'s images to `one`'s, in every space of a Fréchet distance that both were measured with.

    From features in the cache; nothing is sampled. Raises `UsageError` for runs without such a metric or a seed block
    in common, and where features are no longer in the cache.
    """
    keys = [key for key in one.values if key in other.values and key.metric.startswith("fd@")]
    distances = [
        _distance(one, other, key.metric, block, ShardCache(cache))
        for key in keys
        for block in common_blocks(one, other, key)
    ]
    if not distances:
        raise UsageError(
            f"{one.name} and {other.name} share no seed block with a Fréchet distance",
            hint="measure both under one suite with fid",
        )
    return distances


def _distance(one: Measured, other: Measured, metric: str, block: int, cache: ShardCache) -> Distance:
    space = metric.removeprefix("fd@")
    digest = one.spaces[space]
    if digest is None:
        raise UsageError(f"{metric}: its record does not say of which space", hint="measure the runs again")
    first, second = (_features(run, run.blocks[block], space, digest, cache) for run in (one, other))
    reference = Reference.from_features(first, space=space, space_digest=digest, keep=0)
    found = measure(parse(metric), second, reference, space_digest=digest)
    return Distance(metric, block, found.value, found.stderr, len(second))


def _features(run: Measured, block: Block, space: str, digest: str, cache: ShardCache) -> npt.NDArray[np.float32]:
    folder, first = space_folder(space, digest), block.first_seed or 0
    shards = covering(cache.shards(block.images_digest, folder), first, block.n)
    if shards is None:
        raise UsageError(
            f"{run.name}: features in {space} are no longer in the cache",
            hint="run the suite again: the same command fills the cache",
        )
    parts = [cache.read(block.images_digest, folder, shard) for shard in shards]
    return np.concatenate(parts).reshape(sum(map(len, parts)), -1)[: block.n]
