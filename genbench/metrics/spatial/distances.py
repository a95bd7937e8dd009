"""How far generated images are from reference images in spatial structure: SSW, CFD and LSD; lower is better.

    SSW   Wasserstein-1 distance of the images' LDS, CDS and RMSC, in standard deviations of the reference, and its mean
    CFD   Fréchet distance of correlograms
    LSD   kernel distance of layouts: the one that sees where things are

They are genbench's own, and not yet checked against human judgement: diagnostics beside FID, not a ranking. Each is in
units of the reference, which is taken as fixed in every standard error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.frechet import FrechetDistance, frechet_distance
from genbench.metrics.inputs import Float64
from genbench.metrics.kernel import kernel_distance
from genbench.metrics.moments import Gaussian, Moments
from genbench.metrics.spatial.structure import PRESETS, cds, lds, rmsc
from genbench.tokens.grid import Grid, square_grid_of_correlogram

_ALIKE = 1e-7
"""A standard deviation of cosines that is rounding: RMSC of alike tokens is 0 to 1e-8."""


class Distance(NamedTuple):
    """A distance between two sets of images."""

    value: float
    stderr: float | None
    """First order (influence function; LSD: delete-one jackknife), so the bias that `floor` tells is not in it.

    Between sets of one distribution it errs high: by a sixth for SSW's parts in simulations.
    """
    floor: float
    """About what as many images of the reference's own distribution would give."""


class Shift(NamedTuple):
    """One statistic of generated images against that of reference images, in standard deviations of the latter."""

    distance: Distance
    """Wasserstein-1: the mean difference of quantiles."""
    shift: float
    """Mean of the generated less mean of the reference: which way."""
    shift_stderr: float
    influence: Float64
    """(N,), of mean 0: the distance moves by influence[i] / N when image i is given a little more weight."""


class SpatialWasserstein(NamedTuple):
    """SSW and its parts."""

    mean: Distance
    by_statistic: Mapping[str, Shift]
    """``lds``, ``cds``, ``rmsc``."""


def statistics(correlograms: Float64, grid: Grid, preset: str = "code") -> dict[str, Float64]:
    """LDS, CDS and RMSC of each image, (N,) each, over the ranges of `structure.PRESETS`."""
    ranges = PRESETS[preset](grid)
    return {
        "lds": lds(correlograms, grid, near=ranges.near, far=ranges.far),
        "cds": cds(correlograms, grid, decay=ranges.decay),
        "rmsc": rmsc(correlograms, grid),
    }


def spatial_wasserstein(
    generated: Float64, reference: Float64, grid: Grid, *, preset: str = "code"
) -> SpatialWasserstein:
    """SSW of correlograms (N, H + W - 1) against (M, H + W - 1), N >= 2 and M >= 2.

    Raises `FeatureError` for fewer images, and for a reference whose images are all alike in one of the statistics.
    """
    ours, theirs = statistics(generated, grid, preset), statistics(reference, grid, preset)
    parts = {name: shift(ours[name], theirs[name], name) for name in ours}
    influence = np.mean([part.influence for part in parts.values()], axis=0)
    value = float(np.mean([part.distance.value for part in parts.values()]))
    floor = float(np.mean([part.distance.floor for part in parts.values()]))
    return SpatialWasserstein(Distance(value, _stderr(influence), floor), parts)


def shift(generated: Float64, reference: Float64, what: str) -> Shift:
    """Wasserstein-1 distance and signed shift of (N,) values against (M,), N >= 2 and M >= 2.

    The floor is E|F_n - F_m| for two samples of the reference's distribution F, √(2/π · F(1-F)(1/N + 1/M)) at each
    value: 1.29 √(1/N + 1/M) for a normal one.

    Raises `FeatureError` for fewer images, for NaN, and for a reference that does not vary.
    """
    n, m = _counts(generated, reference)
    scale = float(_checked_scales(reference.std(ddof=1, keepdims=True), what)[0])
    values = np.sort(np.concatenate([generated, reference]))
    gaps = np.diff(values) / scale
    ours = np.searchsorted(np.sort(generated), values[:-1], side="right") / n
    theirs = np.searchsorted(np.sort(reference), values[:-1], side="right") / m
    spread = np.sqrt(2 / np.pi * theirs * (1 - theirs) * (1 / n + 1 / m))
    # d|F_n - F_m| by the weight of image i: sign(F_n - F_m) wherever F_n has already stepped up at x_i.
    slope = np.append(np.cumsum((np.sign(ours - theirs) * gaps)[::-1])[::-1], 0)
    pull = slope[np.searchsorted(values, generated)]
    influence = pull - pull.mean()
    distance = Distance(float(np.abs(ours - theirs) @ gaps), _stderr(influence), float(spread @ gaps))
    return Shift(
        distance,
        shift=float(generated.mean() - reference.mean()) / scale,
        shift_stderr=float(generated.std(ddof=1)) / n**0.5 / scale,
        influence=influence,
    )


def correlogram_frechet(generated: Float64, reference: Float64, grid: Grid, *, device: str = "cpu") -> Distance:
    """CFD of correlograms (N, H + W - 1) against (M, H + W - 1), N >= 2 and M >= 2, with its floor.

    The floor is the bias of the estimate between two samples of the reference's distribution, to first order:
    (1/N + 1/M)(tr Σ + ½ Σᵢⱼ Var(uᵢuⱼ) / (λᵢ + λⱼ)), where λ are the eigenvalues of the scaled covariance Σ and u the
    deviations from its mean along the eigenvectors. Outliers, which correlograms have, raise it.

    Raises `FeatureError` for fewer images, for NaN, and as `lag_frechet` does.
    """
    n, m = _counts(generated, reference)
    found = lag_frechet(generated, Moments.from_features(reference, "reference correlograms"), grid, device=device)
    theirs = reference[:, _lags(grid)]
    floor = (1 / n + 1 / m) * _frechet_bias(theirs / theirs.std(axis=0, ddof=1))
    return Distance(found.value, found.stderr, floor)


def lag_frechet(generated: Float64, reference: Gaussian, grid: Grid, *, device: str = "cpu") -> FrechetDistance:
    """CFD of correlograms (N, H + W - 1), N >= 2, against the moments of the reference's.

    Distances 1 to min(H, W) - 1 take part, 15 of a 16x16 grid, each in standard deviations of the reference: farther
    pairs are few and stand in corners.

    Raises `FeatureError` for fewer images, for NaN, for a reference that does not vary at one of the distances, and for
    a grid that is one token wide.
    """
    if min(grid) < 2:
        raise FeatureError(
            f"CFD is not defined on a grid of {grid.height}x{grid.width} tokens", hint="take a space with more tokens"
        )
    lags = _lags(grid)
    cov = reference.cov[lags, lags]
    scale = _checked_scales(np.sqrt(np.diag(cov)), "correlograms")
    scaled = Moments(reference.n, reference.mean[lags] / scale, cov / np.outer(scale, scale) * (reference.n - 1))
    return frechet_distance(generated[:, lags] / scale, scaled, device=device)


def _lags(grid: Grid) -> slice:
    return slice(1, min(grid))


def _frechet_bias(values: Float64) -> float:
    """The expected FD between two samples of the distribution of (M, L) values, divided by 1/N + 1/M."""
    moments = Moments.from_features(values)
    eigenvalues, vectors = np.linalg.eigh(moments.cov)
    keep = eigenvalues > eigenvalues[-1] * len(eigenvalues) * np.finfo(np.float64).eps
    spread: Float64 = eigenvalues[keep]
    squares = np.square((values - moments.mean) @ vectors[:, keep])
    variances: Float64 = squares.T @ squares / len(squares) - np.diag(spread**2)
    return float(spread.sum()) + float((variances / (spread[:, None] + spread)).sum()) / 2


def layout_kernel(generated: Float64, reference: Float64, *, device: str = "cpu") -> Distance:
    """LSD of layouts (N, 120) against (M, 120), N >= 2 and M >= 2: KD, which is unbiased, so its floor is 0.

    Raises `FeatureError` for fewer images and for NaN.
    """
    found = kernel_distance(generated, reference, device=device)
    return Distance(found.value, found.stderr, 0.0)


def _counts(generated: Float64, reference: Float64) -> tuple[int, int]:
    for what, values in (("generated", generated), ("reference", reference)):
        if len(values) < 2:
            raise FeatureError(
                f"{len(values)} {what} image(s), at least 2 are needed", hint="give more images on both sides"
            )
        if not np.isfinite(values).all():
            raise FeatureError(f"NaN or infinity among the {what} values", hint="leave those images out")
    return len(generated), len(reference)


def _checked_scales(scales: Float64, what: str) -> Float64:
    """(L,) standard deviations of the reference. Raises `FeatureError` where one is 0."""
    if (scales <= _ALIKE).any():
        raise FeatureError(
            f"the reference images are all alike in {what}: there is no unit to measure a difference in",
            hint="give a reference of different images",
        )
    return scales


def _stderr(influence: Float64) -> float:
    return float(influence.std(ddof=1) / len(influence) ** 0.5)


def measure_ssw(comparison: Comparison) -> Measurement:
    """The `ssw` statistic: the mean of its three parts, over the ranges of the authors' script."""
    ours, theirs = comparison.features.astype(np.float64), comparison.reference_features.astype(np.float64)
    found = spatial_wasserstein(ours, theirs, square_grid_of_correlogram(ours.shape[1])).mean
    return Measurement(found.value, found.stderr, len(ours), len(theirs))


def measure_cfd(comparison: Comparison) -> Measurement:
    """The `cfd` statistic."""
    ours, reference = comparison.features.astype(np.float64), comparison.reference
    found = lag_frechet(ours, reference, square_grid_of_correlogram(ours.shape[1]), device=comparison.device)
    return Measurement(found.value, found.stderr, len(ours), reference.n)


def measure_lsd(comparison: Comparison) -> Measurement:
    """The `lsd` statistic."""
    ours, theirs = comparison.features, comparison.reference_features
    found = kernel_distance(ours, theirs, device=comparison.device)
    return Measurement(found.value, found.stderr, len(ours), len(theirs))
