"""Statistics of one number an image, read from it and its original: PSNR, SSIM, LPIPS of reconstructions."""

from __future__ import annotations

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features


def mean_of_pairs(values: Features) -> Measurement:
    """Mean of (N, 1) values, N >= 2; its standard error is their deviation over √N.

    Raises `FeatureError` for more than one value an image.
    """
    if values.shape[1:] != (1,):
        raise FeatureError(
            f"one value an image is averaged, not {values.shape[1:]}", hint="take a space of pairs, such as pixels/psnr"
        )
    n = len(values)
    column = values[:, 0].astype(np.float64)
    return Measurement(float(column.mean()), float(column.std(ddof=1)) / n**0.5, n, n)


def measure_mean_of_pairs(comparison: Comparison) -> Measurement:
    """The `psnr`, `ssim` and `lpips` statistics."""
    return mean_of_pairs(comparison.features)
