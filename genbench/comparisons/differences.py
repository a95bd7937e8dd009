"""The difference of two runs in one metric, over the seed blocks that both have."""

from __future__ import annotations

import math
from collections.abc import Iterable

from genbench.comparisons.influences import Influences
from genbench.comparisons.measured import Block, Measured, MetricKey, Value
from genbench.comparisons.significance import Difference


def common_blocks(one: Measured, other: Measured, metric: MetricKey) -> list[int]:
    """Seed blocks in which both runs have the metric."""
    return sorted(one.values[metric].keys() & other.values[metric].keys())


def mean(values: Iterable[Value]) -> Value:
    """The mean over seed blocks, which are independent of one another."""
    blocks = list(values)
    known = [v.stderr for v in blocks if v.stderr is not None]
    stderr = math.sqrt(math.fsum(s * s for s in known)) / len(blocks) if len(known) == len(blocks) else None
    return Value(math.fsum(v.value for v in blocks) / len(blocks), stderr, blocks[0].n)


def difference(one: Measured, other: Measured, metric: MetricKey, influences: Influences) -> Difference:
    """`other` less `one`: block by block where they share seed blocks, else mean by mean.

    Blocks are paired by image where each image's influence is known on both sides, and where both sides measured the
    very same images; elsewhere the two sides are taken for independent.
    """
    blocks = common_blocks(one, other, metric)
    if not blocks:
        return independent(mean(one.values[metric].values()), mean(other.values[metric].values()))
    found = [
        _of_block(
            metric.metric,
            (one.blocks[block], other.blocks[block]),
            (one.values[metric][block], other.values[metric][block]),
            influences,
        )
        for block in blocks
    ]
    total = mean(Value(d.value, d.stderr, 0) for d in found)
    return Difference(total.value, total.stderr, all(d.paired for d in found))


def _of_block(
    metric: str, blocks: tuple[Block, Block], values: tuple[Value, Value], influences: Influences
) -> Difference:
    one, other = values
    if blocks[0].images_digest == blocks[1].images_digest:
        return Difference(other.value - one.value, 0.0, paired=True)
    paired = influences.paired_stderr(metric, *blocks)
    if paired is None:
        return independent(one, other)
    return Difference(other.value - one.value, paired, paired=True)


def independent(one: Value, other: Value) -> Difference:
    """`other` less `one`, as if their images were drawn independently."""
    stderr = None if one.stderr is None or other.stderr is None else math.hypot(one.stderr, other.stderr)
    return Difference(other.value - one.value, stderr, paired=False)
