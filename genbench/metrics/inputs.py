"""What an array of features must be before anything is computed from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from genbench.errors import FeatureError

_ROWS = 4096
Features = npt.NDArray[np.floating[Any]]
"""(N, d), float32 or float64."""
Float64 = npt.NDArray[np.float64]


def check_features(features: Features, what: str, *, at_least: int = 2) -> None:
    """Check that `features` is (N, d), floating, finite, with N >= `at_least` and d >= 1.

    `what` names the array in messages. Raises `FeatureError`.
    """
    if features.ndim != 2 or features.shape[1] == 0:
        raise FeatureError(
            f"{what}: expected an array of shape (N, d), got {features.shape}",
            hint="flatten each image's features to one row",
        )
    if features.dtype not in (np.float32, np.float64):
        raise FeatureError(
            f"{what}: expected float32 or float64, got {features.dtype}", hint="convert with .astype(numpy.float32)"
        )
    if len(features) < at_least:
        raise FeatureError(
            f"{what}: {len(features)} image(s), at least {at_least} are needed",
            hint="generate more images, or leave this metric out",
        )
    for start in range(0, len(features), _ROWS):
        bad = ~np.isfinite(features[start : start + _ROWS]).all(axis=1)
        if bad.any():
            raise FeatureError(
                f"{what}: NaN or infinity in row {start + int(bad.argmax())}",
                hint="look at that image and at the extractor's precision; `genbench cache verify` finds bad shards",
            )


def check_width(width: int, reference_width: int, space: str | None = None) -> None:
    """Raise `FeatureError` unless the generated features are as wide as the reference."""
    if width != reference_width:
        named = f"the {space} reference" if space else "the reference"
        raise FeatureError(
            f"features are {width} wide, {named} is {reference_width} wide",
            hint="extract both sides in one feature space",
        )


def unit_length(features: Features, what: str) -> Float64:
    """(N, d) features brought to Euclidean length 1, float64. Raises `FeatureError` for a row of zeros."""
    rows = features.astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not lengths.all():
        raise FeatureError(
            f"{what}: row {int((lengths == 0).argmax())} is all zeros and has no direction",
            hint="look at that image, or take a metric that compares distances",
        )
    unit: Float64 = rows / lengths
    return unit
