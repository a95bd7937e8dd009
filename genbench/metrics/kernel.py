"""KD, the kernel distance: unbiased squared MMD with the kernel (x·y/d + 1)³ over all pairs (Bińkowski et al. 2018).

Peers average the same estimator over random subsets of 1,000, which is offered too; over all pairs there is nothing
random left in it.

The distance is a small difference of large sums, so what is large is summed without the pairs. About the mean c of both
sets, x·y/d + 1 = u + h with h = (x - c)·(y - c)/d and u = |c|²/d + 1 + a + b, where a and b are (x - c)·c/d of either
image, and

    (u + h)³ = u³ + 3u²h + h²(3u + h)

The first two terms sum over y by its power sums, in float64. Only the last, which is of second order in the features'
spread, needs every pair; where pairs are many its products are float32, whose rounding averages out over them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, Float64, check_features, check_width
from genbench.metrics.products import float32_is_full, products

_TILE = 1024
_MANY_PAIRS = 2**21
"""From here on products are float32: KD of 10,000 images a side moves by 1e-8 of itself, in a third of the time."""
Block = Callable[[slice, slice], Tensor]
"""Rows and columns => the kernel of each pair of them."""


class KernelDistance(NamedTuple):
    """The U-statistic, and what it would be without each generated image."""

    value: float
    """Unbiased, so it may be negative where both sets are alike."""
    stderr: float | None
    """Delete-one jackknife over the generated images, the reference fixed; None for fewer than 3 images."""
    without: Float64
    """(N,): the value with image i left out; NaN for fewer than 3 images."""


def kernel_distance(generated: Features, reference: Features, *, device: str = "cpu") -> KernelDistance:
    """KD of features (N, d) against (M, d), N >= 2 and M >= 2, in tiles of 1,024 images a side.

    The jackknife comes from the kernel's row sums at no further cost. It holds where the first-order term vanishes
    (equal distributions) too, and errs high there (Efron & Stein 1981).

    Raises `FeatureError` for features that are too few, not finite, or of different widths.
    """
    check_features(generated, "generated features")
    check_features(reference, "reference features")
    check_width(generated.shape[1], reference.shape[1])
    n, m = len(generated), len(reference)
    centre = (generated.sum(axis=0, dtype=np.float64) + reference.sum(axis=0, dtype=np.float64)) / (n + m)
    dtype = torch.float32 if n * m >= _MANY_PAIRS and float32_is_full(device) else torch.float64
    x, y = (_Side.about(centre, side, dtype, device) for side in (generated, reference))
    among, across = _cubes_among(x), _cubes_across(x, y)
    reference_term = float(_cubes_among(y).sum()) / (m * (m - 1))
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
        values[s] = kernel_distance(x, y).value
    return SubsetKernelDistance(float(values.mean()), float(values.std()), values)


class _Side(NamedTuple):
    """One set about the common centre, scaled by 1/√d, and its power sums, which the linear terms need of it."""

    points: Tensor
    """(N, d): (x - c)/√d, in the type of products."""
    base: float
    """|c|²/d + 1."""
    offsets: Tensor
    """(N,) float64: a = (x - c)·c/d."""
    powers: Tensor
    """(4,) float64: Σ aᵖ."""
    weighted: Tensor
    """(3, d) float64: Σ aᵖ (x - c)/√d."""

    @classmethod
    def about(cls, centre: Float64, features: Features, dtype: torch.dtype, device: str) -> Self:
        scale = features.shape[1] ** -0.5
        points = torch.empty(features.shape, dtype=dtype, device=device)
        offsets = torch.empty(len(features), dtype=torch.float64, device=device)
        weighted = torch.zeros(3, features.shape[1], dtype=torch.float64, device=device)
        c = torch.from_numpy(centre * scale).to(device)
        for part in _tiles(len(features)):
            rows = torch.from_numpy((features[part] - centre) * scale).to(device)
            points[part], offsets[part] = rows, rows @ c
            weighted += _powers(offsets[part], 3) @ rows
        return cls(points, float(c @ c) + 1, offsets, _powers(offsets, 4).sum(dim=1), weighted)


def _powers(values: Tensor, count: int) -> Tensor:
    """(N,) => (count, N): the powers 0, 1, ..."""
    return torch.stack([values**power for power in range(count)])


def _cubes_across(x: _Side, y: _Side) -> Float64:
    """(N,): the sum of (u + h)³ over all of y."""
    pairs = row_sums_across(len(x.points), len(y.points), _second_order(x, y), device=str(x.points.device))
    return _first_order(x, y) + pairs


def _cubes_among(x: _Side) -> Float64:
    """(N,): the sum of (u + h)³ over the others of the same set."""
    pairs = row_sums_among(len(x.points), _second_order(x, x), device=str(x.points.device))
    u = x.base + 2 * x.offsets
    h = torch.cat([x.points[part].double().square().sum(dim=1) for part in _tiles(len(x.points))])
    own: Float64 = (u.square() * (u + 3 * h)).cpu().numpy()
    return _first_order(x, x) - own + pairs


def _first_order(x: _Side, y: _Side) -> Float64:
    """(N,): Σ u³ + 3u²h over all of y, with u = r + b."""
    r = x.base + x.offsets
    slopes = torch.cat([x.points[part].double() @ y.weighted.T for part in _tiles(len(x.points))])
    ones, first, second, third = y.powers
    cubes = ((ones * r + 3 * first) * r + 3 * second) * r + third
    sums: Float64 = (cubes + 3 * ((slopes[:, 0] * r + 2 * slopes[:, 1]) * r + slopes[:, 2])).cpu().numpy()
    return sums


def _second_order(x: _Side, y: _Side) -> Block:
    """h²(3u + h) of pairs."""
    of_x, of_y = (3 * (x.base + x.offsets)).to(x.points.dtype), (3 * y.offsets).to(y.points.dtype)

    def block(rows: slice, columns: slice) -> Tensor:
        h = products(x.points[rows], y.points[columns])
        return (h + of_x[rows, None]).add_(of_y[columns]).mul_(h).mul_(h)

    return block


def row_sums_among(count: int, kernel_of: Block, *, device: str = "cpu") -> Float64:
    """(N,): the sum of k(x_i, x_j) over j other than i, `count` images; each pair of tiles is visited once."""
    sums = torch.zeros(count, dtype=torch.float64, device=device)
    for first, rows in enumerate(_tiles(count)):
        for columns in _tiles(count)[first:]:
            kernel = kernel_of(rows, columns)
            if columns == rows:
                kernel.fill_diagonal_(0)
            else:
                sums[columns] += kernel.sum(dim=0)
            sums[rows] += kernel.sum(dim=1)
    return sums.cpu().numpy()


def row_sums_across(count: int, others: int, kernel_of: Block, *, device: str = "cpu") -> Float64:
    """(N,): the sum of k(x_i, y_j) over all j, of `count` images and `others`."""
    sums = torch.zeros(count, dtype=torch.float64, device=device)
    for rows in _tiles(count):
        for columns in _tiles(others):
            sums[rows] += kernel_of(rows, columns).sum(dim=1)
    return sums.cpu().numpy()


def _tiles(count: int) -> list[slice]:
    return [slice(start, min(start + _TILE, count)) for start in range(0, count, _TILE)]


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
