"""Improved precision and recall (Kynkäänniemi et al. 2019): k = 3, and a point on a ball's surface is inside.

Other papers' forms (k = 5, strict) are arguments of `neighbours.neighbourhoods`.
"""

from __future__ import annotations

import numpy as np

from genbench.metrics.comparison import Comparison, Measurement
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
    n, m = len(without), len(neighbourhoods.reference_inside)
    jackknife = float(((n - 1) / n * np.square(without - without.mean()).sum()) ** 0.5)
    return max(jackknife, proportion_stderr(np.ones(m, np.bool_)))


def measure_precision(comparison: Comparison) -> Measurement:
    """The `precision` statistic: the reference fixed, images fall inside its balls independently of one another."""
    inside = comparison.neighbourhoods.generated_inside
    m = len(comparison.reference_features)
    return Measurement(float(inside.mean()), proportion_stderr(inside), len(inside), m)


def measure_recall(comparison: Comparison) -> Measurement:
    """The `recall` statistic."""
    inside = comparison.neighbourhoods.reference_inside
    stderr = recall_stderr(comparison.neighbourhoods)
    return Measurement(float(inside.mean()), stderr, len(comparison.features), len(inside))
