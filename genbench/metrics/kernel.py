"""KD, the kernel distance: unbiased squared MMD with the kernel (x·y/d + 1)³ over all pairs (Bińkowski et al. 2018).

Peers average the same estimator over random subsets of 1,000, which is offered too; over all pairs there is nothing
random left in it.
Products and sums are float64: the distance is a small difference of large sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, Float64, check_features, check_width

_TILE = 1024
Kernel = Callable[[Tensor, Tensor], Tensor]
"""float64 (n, d) and (m, d) => the kernel of each pair (n, m)."""


class KernelDistance(NamedTuple):
    """The U-statistic, and what it would be without each generated image."""

    value: float
    """Unbiased, so it may be negative where both sets are alike."""
    stderr: float | None
    """Delete-one jackknife over the generated images, the reference fixed; None for fewer than 3 images."""
    without: Float64
    """(N,): the value with image i left out; NaN for fewer than 3 images."""


def kernel_distance(generated: Features, reference: Features, *, device: str = "cpu") -> KernelDistance:
    """KD of features (N, d) against (M, d), N >= 2 and M >= 2, in tiles of 1,024 pairs a side.

    The jackknife comes from the kernel's row sums at no further cost. It holds where the first-order term vanishes
    (equal distributions) too, and errs high there (Efron & Stein 1981).

    Raises `FeatureError` for features that are too few, not finite, or of different widths.
    """
    check_features(generated, "generated features")
    check_features(reference, "reference features")
    check_width(generated.shape[1], reference.shape[1])
    n, m = len(generated), len(reference)
    among = row_sums_among(generated, _cubic, device=device)
    across = row_sums_across(generated, reference, _cubic, device=device)
    reference_term = float(row_sums_among(reference, _cubic, device=device).sum()) / (m * (m - 1))
    value = float(among.sum()) / (n * (n - 1)) + reference_term - 2 * float(across.sum()) / (n * m)
    if n < 3:
        return KernelDistance(value, None, np.full(n, np.nan))
    pairs_left = (among.sum() - 2 * among) / ((n - 1) * (n - 2))
    without: Float64 = pairs_left + reference_term - 2 * (across.sum() - across) / ((n - 1) * m)
    variance = (n - 1) / n * float(np.square(without - without.mean()).sum())
    return KernelDistance(value, variance**0.5, without)


class SubsetKernelDistance(NamedTuple):
    """The mean over random subsets, and their spread."""

    value: float
    spread: float
    """Standard deviation over subsets, divided by their number. Subsets overlap: it is no standard error."""
    subsets: Float64
    """(S,)."""


def kernel_distance_of_subsets(
    generated: Features, reference: Features, *, subsets: int = 100, size: int = 1000, seed: int = 2020
) -> SubsetKernelDistance:
    """KD as the mean over `subsets` of `size` images a side, drawn as torch-fidelity draws them; in float64.

    Raises `FeatureError` for features that are fewer than `size`, not finite, or of different widths.
    """
    check_features(generated, "generated features", at_least=size)
    check_features(reference, "reference features", at_least=size)
    check_width(generated.shape[1], reference.shape[1])
    # The legacy generator is the convention; its stream is frozen. One side is drawn after the other.
    rng = np.random.RandomState(seed)
    values = np.empty(subsets)
    for s in range(subsets):
        x = generated[rng.choice(len(generated), size, replace=False)]
        y = reference[rng.choice(len(reference), size, replace=False)]
        within = sum(float(row_sums_among(side, _cubic).sum()) for side in (x, y)) / (size * (size - 1))
        values[s] = within - 2 * float(row_sums_across(x, y, _cubic).sum()) / size**2
    return SubsetKernelDistance(float(values.mean()), float(values.std()), values)


def row_sums_among(points: Features, kernel_of: Kernel, *, device: str = "cpu") -> Float64:
    """(N,): the sum of k(x_i, x_j) over j other than i; each pair of tiles is visited once."""
    sums = torch.zeros(len(points), dtype=torch.float64, device=device)
    for row in range(0, len(points), _TILE):
        rows = _tile(points, row, device)
        for column in range(row, len(points), _TILE):
            kernel = kernel_of(rows, _tile(points, column, device))
            if column == row:
                kernel.fill_diagonal_(0)
            else:
                sums[column : column + _TILE] += kernel.sum(dim=0)
            sums[row : row + _TILE] += kernel.sum(dim=1)
    return sums.cpu().numpy()


def row_sums_across(points: Features, others: Features, kernel_of: Kernel, *, device: str = "cpu") -> Float64:
    """(N,): the sum of k(x_i, y_j) over all j."""
    sums = torch.zeros(len(points), dtype=torch.float64, device=device)
    for row in range(0, len(points), _TILE):
        rows = _tile(points, row, device)
        for column in range(0, len(others), _TILE):
            sums[row : row + _TILE] += kernel_of(rows, _tile(others, column, device)).sum(dim=1)
    return sums.cpu().numpy()


def _tile(points: Features, start: int, device: str) -> Tensor:
    return torch.from_numpy(points[start : start + _TILE].astype(np.float64)).to(device)


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    base = (x @ y.T).div_(x.shape[1]).add_(1)
    return base * base.square()


def measure_kd(comparison: Comparison) -> Measurement:
    """The `kd` statistic."""
    reference = comparison.reference_features
    distance = kernel_distance(comparison.features, reference, device=comparison.device)
    return Measurement(distance.value, distance.stderr, len(comparison.features), len(reference))


def measure_kd_subsets(comparison: Comparison) -> Measurement:
    """The `kd-subsets` statistic."""
    reference = comparison.reference_features
    distance = kernel_distance_of_subsets(comparison.features, reference)
    return Measurement(distance.value, None, len(comparison.features), len(reference), distance.spread)
