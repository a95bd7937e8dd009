"""FD without the bias of a finite sample: extrapolated to infinitely many images, and corrected by a jackknife.

FD of n images is higher than that of infinitely many, by about a constant over n while n is well above the number of
features d. Both estimates rest on that; the reference is fixed, and its own finite size is not corrected.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.frechet import frechet_distance_of_moments, frechet_value
from genbench.metrics.inputs import Features, Float64, check_features, check_width
from genbench.metrics.jackknife import jackknife_stderr
from genbench.metrics.moments import Gaussian, Moments

_SEED = 2020
_SIZES = 15
_BLOCKS = 25


class FrechetExtrapolation(NamedTuple):
    """FD∞ and the line through FD against 1/n that it is the intercept of."""

    value: float
    """May be negative where the sets are alike."""
    slope: float
    """FD of n images is about `value + slope / n`."""
    sizes: tuple[int, ...]
    distances: Float64
    """(S,): FD at each size."""


class FrechetJackknife(NamedTuple):
    """FD with blocks of images left out in turn, and what follows from that."""

    value: float
    """FD of all images."""
    corrected: float
    """B·FD less (B - 1) times the mean of `without`: free of the bias of order 1/n. May be negative."""
    stderr: float
    """Delete-a-block jackknife standard error of `corrected`."""
    without: Float64
    """(B,): FD without each block."""


class FrechetDifference(NamedTuple):
    """Difference of two bias-corrected FDs to one reference."""

    value: float
    stderr: float


def frechet_extrapolation(
    features: Features, reference: Gaussian, *, smallest: int = 5000, device: str = "cpu"
) -> FrechetExtrapolation:
    """FD∞ (Chong & Forsyth 2020): FD of 15 random subsets, of sizes up to N, and the intercept of a line in 1/n.

    Sizes are evenly spaced from min(`smallest`, max(N // 10, 2)) to N, as in dgm-eval, which draws unseeded; here each
    subset is the first part of the next permutation of ``RandomState(2020)``. Raises `FeatureError` for fewer than 20
    images, and as `frechet_distance` does.
    """
    check_features(features, "features", at_least=20)
    check_width(features.shape[1], len(reference.mean))
    n = len(features)
    sizes = np.linspace(min(smallest, max(n // 10, 2)), n, _SIZES).astype(int)
    # The legacy generator's stream is frozen.
    rng = np.random.RandomState(_SEED)
    subsets = (features[rng.permutation(n)[:size]] for size in sizes)
    distances = np.array([frechet_value(subset, reference, device=device) for subset in subsets])
    slope, intercept = np.polyfit(1 / sizes, distances, 1)
    return FrechetExtrapolation(float(intercept), float(slope), tuple(sizes.tolist()), distances)


def frechet_jackknife(
    features: Features, reference: Gaussian, *, blocks: int = _BLOCKS, device: str = "cpu"
) -> FrechetJackknife:
    """FD of features (N, d) with each of `blocks` equal blocks left out, from moments; one eigenvalue problem a block.

    Blocks are of a fixed random order (``RandomState(2020)``), so images sorted by class do not make blocks unlike.
    Raises `FeatureError` for fewer than 2 blocks, and where d images or fewer remain without one: covariances lose rank
    there, and the bias is not of order 1/n. Raises as `frechet_distance` does, too.
    """
    if blocks < 2:
        raise FeatureError(f"a jackknife of {blocks} block(s) is not defined", hint="give 2 blocks or more")
    check_features(features, "features")
    check_width(features.shape[1], len(reference.mean))
    n, d = features.shape
    order = np.random.RandomState(_SEED).permutation(n)
    parts = np.array_split(order, blocks)
    if n - len(parts[0]) <= d:
        raise FeatureError(
            f"{n} images of {d} features are too few for the jackknife of FD in {blocks} blocks",
            hint=f"give more than {d * blocks // (blocks - 1) + 1} images, or take fd",
        )
    total = Moments.from_features(features)
    value = frechet_distance_of_moments(total, reference, device=device)
    without = np.array(
        [
            frechet_distance_of_moments(total - Moments.from_features(features[part]), reference, device=device)
            for part in parts
        ]
    )
    corrected = blocks * value - (blocks - 1) * float(without.mean())
    return FrechetJackknife(value, corrected, jackknife_stderr(without), without)


def frechet_difference(one: FrechetJackknife, other: FrechetJackknife, *, paired: bool) -> FrechetDifference:
    """Corrected FD of `one` less that of `other`, with its standard error.

    `paired`: image i of both sets was sampled from one seed and label, so what both owe to the seeds cancels. Raises
    `FeatureError` for pairs of different numbers of blocks.
    """
    value = one.corrected - other.corrected
    if not paired:
        return FrechetDifference(value, float(np.hypot(one.stderr, other.stderr)))
    if len(one.without) != len(other.without):
        raise FeatureError(
            f"{len(one.without)} and {len(other.without)} blocks cannot be paired", hint="take as many blocks for both"
        )
    return FrechetDifference(value, jackknife_stderr(one.without - other.without))


def measure_fd_inf(comparison: Comparison) -> Measurement:
    """The `fd-inf` statistic."""
    found = frechet_extrapolation(comparison.features, comparison.reference, device=comparison.device)
    return Measurement(found.value, None, len(comparison.features), comparison.reference.n)


def measure_fd_corrected(comparison: Comparison) -> Measurement:
    """The `fd-corrected` statistic."""
    found = frechet_jackknife(comparison.features, comparison.reference, device=comparison.device)
    return Measurement(found.corrected, found.stderr, len(comparison.features), comparison.reference.n)
