"""LPIPS diversity: how unlike the images of one set are, as the mean LPIPS distance of all pairs.

The field draws random pairs (Zhu et al. 2017, arXiv:1711.11586; Choi et al. 2020, arXiv:1912.01865). In `vgg16-lpips`,
where LPIPS is a squared distance, the mean over all pairs needs no pairs and has no draw in it. Its features are long:
where a set's do not fit, `vgg16-lpips/sketch` keeps 32 KiB an image, and what is drawn are projections, not pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, Float64, check_features
from genbench.metrics.jackknife import jackknife_stderr
from genbench.metrics.per_class import rows_of_classes

SKETCHES = 8
"""Sketches of an image in a space of them (`genbench.features.sketch`)."""
_COLUMNS = 2**14
"""Columns that are read in float64 at once."""


class PairwiseDistance(NamedTuple):
    """The mean squared distance of two images of a set."""

    value: float
    stderr: float | None
    """Delete-one jackknife over images: pairs that share an image are not independent. None for two images."""


def mean_pairwise_distance(features: Features) -> PairwiseDistance:
    """Mean of |x_i - x_j|² over all pairs i < j of features (N, d), N >= 2, in float64: twice the total variance.

    Raises `FeatureError` for features that are too few or not finite.
    """
    check_features(features, "features")
    n = len(features)
    from_mean: Float64 = np.zeros(n)
    for start in range(0, features.shape[1], _COLUMNS):
        columns = features[:, start : start + _COLUMNS].astype(np.float64)
        from_mean += np.square(columns - columns.mean(axis=0)).sum(axis=1)
    total = from_mean.sum()
    value = float(2 * total / (n - 1))
    if n < 3:
        return PairwiseDistance(value, None)
    # The sum over pairs with image i is n|x_i - mean|² + total, and over all pairs n · total.
    without = 2 * ((n - 1) * total - n * from_mean) / ((n - 1) * (n - 2))
    return PairwiseDistance(value, jackknife_stderr(without))


def mean_sketched_distance(sketches: Features, count: int) -> PairwiseDistance:
    """As `mean_pairwise_distance`, of features that `count` >= 2 independent sketches of equal width stand for.

    `sketches` is (N, count · width), one sketch behind the other. The value is the mean over them; their own spread is
    in its standard error.

    Raises `FeatureError` for sketches that are too few, not finite, or not `count` of one width.
    """
    if sketches.ndim != 2 or sketches.shape[1] % count:
        raise FeatureError(
            f"{count} sketches of one width are read, not an array of shape {sketches.shape}",
            hint="take a space of sketches, such as vgg16-lpips/sketch",
        )
    together = mean_pairwise_distance(sketches)
    each = [mean_pairwise_distance(part).value for part in np.split(sketches, count, axis=1)]
    drawn = float(np.std(each, ddof=1)) / count**0.5
    stderr = None if together.stderr is None else float(np.hypot(together.stderr / count, drawn))
    return PairwiseDistance(together.value / count, stderr)


def measure_diversity(comparison: Comparison) -> Measurement:
    """The `diversity` statistic."""
    found = mean_pairwise_distance(comparison.features)
    return Measurement(found.value, found.stderr, len(comparison.features), 0)


def measure_diversity_of_sketches(comparison: Comparison) -> Measurement:
    """The `diversity-sketch` statistic."""
    found = mean_sketched_distance(comparison.features, SKETCHES)
    return Measurement(found.value, found.stderr, len(comparison.features), 0)


def measure_diversity_per_class(comparison: Comparison) -> Measurement:
    """The `diversity-per-class` statistic: the mean over classes of two images or more."""
    rows = rows_of_classes(comparison.classes, "generated", at_least=2)
    found = [mean_pairwise_distance(comparison.features[of_class]) for of_class in rows.values()]
    errors = [distance.stderr for distance in found if distance.stderr is not None]
    stderr = float(np.linalg.norm(errors)) / len(found) if len(errors) == len(found) else None
    return Measurement(float(np.mean([d.value for d in found])), stderr, len(comparison.features), 0)
