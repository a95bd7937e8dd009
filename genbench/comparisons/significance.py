"""A difference and its standard error: is it real, and does it matter.

Two questions are asked of every difference, and both must be answered with yes before a run is called better or worse:
can it be told from chance (its confidence interval leaves 0 out), and is it larger than a margin below which nobody
cares. A difference whose whole interval lies within the margin is called the same; anything else is inconclusive. A
difference without a standard error has no interval, and its verdict says so.
"""

from __future__ import annotations

import math
from enum import StrEnum
from statistics import NormalDist
from typing import Literal, NamedTuple

CONFIDENCE = 0.99
"""Of intervals, two-sided. At 0.99 two equal runs are told apart by one metric in a hundred comparisons."""

FACTOR = 1.05
"""How much larger the one value must be than the other before the difference matters."""

Direction = Literal["lower", "higher"]


class Verdict(StrEnum):
    """What a difference says of the second run beside the first."""

    WORSE = "worse"
    BETTER = "better"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"
    NO_ERROR_BAR = "no error bar"
    """The difference has no standard error, so nothing can be said of it."""


class Difference(NamedTuple):
    """Value of the second run less that of the first."""

    value: float
    stderr: float | None
    """None where either value has none."""
    paired: bool
    """Whether the standard error knows that images of one seed resemble each other; else the two are taken for
    independent."""


class Judgement(NamedTuple):
    """A verdict, and what an inconclusive one would take."""

    verdict: Verdict
    needed: int | None = None
    """Of an inconclusive difference: images that would settle it, should it stay as it is. None where it is settled, or
    equals the margin."""


def quantile(confidence: float) -> float:
    """Half the width of a two-sided interval, in standard errors."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def practical_margin(value: float, factor: float) -> float:
    """The smallest difference from `value` that matters: `factor` times as much, or as little."""
    return (factor - 1) * abs(value)


def is_significant(difference: float, stderr: float | None, confidence: float = CONFIDENCE) -> bool:
    """Whether the interval of the difference leaves 0 out; False where there is no standard error."""
    return stderr is not None and abs(difference) > quantile(confidence) * stderr


def judge(
    difference: Difference, direction: Direction, margin: float, n: int, confidence: float = CONFIDENCE
) -> Judgement:
    """What a difference measured on `n` images a side says; `margin` is in the unit of the difference.

    Standard errors fall with the root of n, from which the number of images needed follows.
    """
    if difference.stderr is None:
        return Judgement(Verdict.NO_ERROR_BAR)
    size, half = abs(difference.value), quantile(confidence) * difference.stderr
    if size > margin and size > half:
        risen = difference.value > 0
        return Judgement(Verdict.WORSE if risen == (direction == "lower") else Verdict.BETTER)
    if size + half <= margin:
        return Judgement(Verdict.SAME)
    reach = size if size > margin else margin - size
    return Judgement(Verdict.INCONCLUSIVE, math.ceil(n * (half / reach) ** 2) if reach else None)
