"""Precision, recall, density and coverage, from k-th-neighbour balls.

Improved precision and recall (Kynkäänniemi et al. 2019) take k = 3, and a point on a ball's surface is inside; density,
coverage and their authors' precision and recall (Naeem et al. 2020) take k = 5, and it is outside.
"""

from __future__ import annotations

import numpy as np

from genbench.metrics.balls import IMPROVED, PRDC, Balls
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.jackknife import jackknife_stderr
from genbench.metrics.neighbours import Bools, Neighbourhoods


def proportion_stderr(inside: Bools) -> float:
    """Standard deviation of the Jeffreys posterior of a proportion, (N,) booleans.

    The binomial √(p(1-p)/n) for all but small counts, and not 0 where all or none are inside.
    """
    a, b = float(inside.sum()) + 0.5, float((~inside).sum()) + 0.5
    return float((a * b / ((a + b) ** 2 * (a + b + 1))) ** 0.5)


def recall_stderr(neighbourhoods: Neighbourhoods) -> float | None:
    """Delete-one jackknife over the generated images; None where it is not defined (N < k + 2).

    Reference points near each other are won and lost together, so recall is no binomial proportion, be it of N or of M:
    those fall to 0.4 times the true value. The jackknife errs high (Efron & Stein 1981), 1.2 to 2 times in simulations
    from d = 2 to 200. It is never below the Jeffreys term of one reference point, so not 0 where all are inside.
    """
    without = neighbourhoods.recall_without
    if without is None:
        return None
    m = len(neighbourhoods.reference_inside)
    return max(jackknife_stderr(without), proportion_stderr(np.ones(m, np.bool_)))


def measure_precision(comparison: Comparison) -> Measurement:
    """The `precision` statistic: the reference fixed, images fall inside its balls independently of one another."""
    return _precision(comparison, IMPROVED)


def measure_recall(comparison: Comparison) -> Measurement:
    """The `recall` statistic."""
    return _recall(comparison, IMPROVED)


def measure_precision_prdc(comparison: Comparison) -> Measurement:
    """The `precision-prdc` statistic."""
    return _precision(comparison, PRDC)


def measure_recall_prdc(comparison: Comparison) -> Measurement:
    """The `recall-prdc` statistic."""
    return _recall(comparison, PRDC)


def measure_density(comparison: Comparison) -> Measurement:
    """The `density` statistic: mean over generated images of the reference balls that each is in, over k."""
    density = comparison.neighbourhoods(PRDC).balls_around / PRDC.k
    n = len(density)
    return Measurement(
        float(density.mean()), float(density.std(ddof=1)) / n**0.5, n, len(comparison.reference_features)
    )


def measure_coverage(comparison: Comparison) -> Measurement:
    """The `coverage` statistic: share of reference balls that hold a generated image."""
    found = comparison.neighbourhoods(PRDC)
    m = len(found.covered)
    stderr = max(jackknife_stderr(found.coverage_without), proportion_stderr(np.ones(m, np.bool_)))
    return Measurement(float(found.covered.mean()), stderr, len(comparison.features), m)


def _precision(comparison: Comparison, balls: Balls) -> Measurement:
    inside = comparison.neighbourhoods(balls).generated_inside
    m = len(comparison.reference_features)
    return Measurement(float(inside.mean()), proportion_stderr(inside), len(inside), m)


def _recall(comparison: Comparison, balls: Balls) -> Measurement:
    found = comparison.neighbourhoods(balls)
    inside = found.reference_inside
    return Measurement(float(inside.mean()), recall_stderr(found), len(comparison.features), len(inside))
