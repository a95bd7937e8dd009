"""What is made of several Fréchet distances: FDr, its mean over spaces FDr^k, and FWD over wavelet packets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.comparison import Comparison, Measurement, Part
from genbench.metrics.frechet import frechet_distance, frechet_distance_of_moments
from genbench.metrics.inputs import Features, Float64, check_width
from genbench.metrics.moments import Gaussian, symmetric_factor
from genbench.metrics.packets import columns, covariances

_PACKETS = 256

_ROUNDING = 1e-9
"""FD of a set to itself over the trace of both its covariances: up to 1e-10 was found, in other orders of the rows and
from files. Of other images of the same kind it is 1e-4 and more at a few thousand, and falls with their number."""


class FrechetRatio(NamedTuple):
    """FD of generated images over FD of held-out real ones, both to one reference."""

    value: float
    """1 is as near as held-out real images are."""
    stderr: float
    """Influence function; the denominator is fixed with the reference."""
    denominator: float
    """FD of the held-out images, in full precision."""
    influence: Float64
    """(N,), of mean 0: each image's influence on the ratio."""


class MeanRatio(NamedTuple):
    """FDr^k."""

    value: float
    stderr: float
    """Influence function: of each image on all ratios at once, since the spaces share the images."""


class WaveletDistance(NamedTuple):
    """FWD: the mean over packets of their Fréchet distances."""

    value: float
    stderr: float
    """Influence function."""
    packets: Float64
    """(P,)."""


def frechet_ratio(features: Features, reference: Gaussian, held_out: Gaussian, *, device: str = "cpu") -> FrechetRatio:
    """FDr (arXiv:2604.28190): FD(features, reference) / FD(held-out, reference).

    Raises `FeatureError` where the held-out images are at distance 0 but for rounding, as the reference's own images in
    another order are, and as `frechet_distance` does.
    """
    denominator = frechet_distance_of_moments(held_out, reference, device=device)
    if denominator <= _ROUNDING * float(np.trace(held_out.cov) + np.trace(reference.cov)):
        raise FeatureError(
            "FDr: held-out images are at distance 0 from the reference", hint="hold out images that it does not have"
        )
    distance = frechet_distance(features, reference, device=device)
    return FrechetRatio(
        distance.value / denominator, distance.stderr / denominator, denominator, distance.influence / denominator
    )


def mean_ratio(ratios: Sequence[FrechetRatio]) -> MeanRatio:
    """FDr^k: the mean of one set of images' ratios in k spaces.

    Raises `FeatureError` for ratios of different numbers of images, or none.
    """
    counts = {len(ratio.influence) for ratio in ratios}
    if len(counts) != 1:
        raise FeatureError(
            f"FDr over {len(ratios)} spaces has ratios of {sorted(counts)} images",
            hint="measure the same images in every space",
        )
    influence = np.mean([ratio.influence for ratio in ratios], axis=0)
    stderr = float(influence.std(ddof=1)) / len(influence) ** 0.5
    return MeanRatio(float(np.mean([ratio.value for ratio in ratios])), stderr)


def wavelet_distance(
    features: Features, reference: Gaussian, *, packets: int = _PACKETS, device: str = "cpu"
) -> WaveletDistance:
    """FWD (Veeramacheneni et al. 2023) of wavelet-packet coefficients (N, d), packet after packet, d = packets × size.

    The reference's `cov` may be the whole (d, d) or those of its packets, (packets, size, size). Raises `FeatureError`
    where d is no multiple of `packets`, and as `frechet_distance` does.
    """
    parts = list(columns(features.shape[-1], packets))
    check_width(features.shape[-1], len(reference.mean))
    found = [
        frechet_distance(features[:, part], _marginal(reference, part, cov), device=device)
        for part, cov in zip(parts, covariances(reference.cov, packets), strict=True)
    ]
    influence = np.mean([distance.influence for distance in found], axis=0)
    values = np.array([distance.value for distance in found])
    return WaveletDistance(float(values.mean()), float(influence.std(ddof=1)) / len(influence) ** 0.5, values)


class _Marginal(NamedTuple):
    n: int
    mean: Float64
    cov: Float64
    factor: Float64


def _marginal(gaussian: Gaussian, part: slice, cov: Float64) -> _Marginal:
    return _Marginal(gaussian.n, gaussian.mean[part], cov, symmetric_factor(cov, gaussian.n - 1))


def measure_fdr(comparisons: Sequence[Comparison]) -> Measurement:
    """The `fdr` statistic: in one space the ratio, in k spaces FDr^k, each space's ratio a part.

    The number of reference images is the fewest in any space.
    """
    ratios = [frechet_ratio(c.features, c.reference, c.held_out_reference, device=c.device) for c in comparisons]
    mean, n = mean_ratio(ratios), len(ratios[0].influence)
    parts = tuple(
        Part(c.reference.space, ratio.value, ratio.stderr, n, ratio.denominator)
        for c, ratio in zip(comparisons, ratios, strict=True)
    )
    return Measurement(mean.value, mean.stderr, n, min(c.reference.n for c in comparisons), parts=parts)


def measure_fwd(comparison: Comparison) -> Measurement:
    """The `fwd` statistic."""
    distance = wavelet_distance(comparison.features, comparison.reference, device=comparison.device)
    return Measurement(distance.value, distance.stderr, len(comparison.features), comparison.reference.n)
