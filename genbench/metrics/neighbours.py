"""k-th-neighbour balls of two sets of features, exact, from blocked sweeps over all pairs.

Squared distances come from matrix products (|x|² + |y|² - 2x·y), which lose what near-duplicates differ in. So products
only sort pairs into sure and unsure, by a bound on their rounding; what is unsure in float32 is asked again in float64,
and what is unsure there is taken from the differences themselves. Every decision is that of comparing Σ(x - y)² in
float64, at the price of float32 products. Memory is O(N · block): a distance matrix never exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genbench.errors import FeatureError
from genbench.metrics.inputs import Features, check_features, check_width
from genbench.metrics.moments import Float64

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

_BLOCK_BYTES = 32 * 2**20
_DIRECT_ROWS = 512
_SPARE = 8
"""Candidates beyond the k nearest: so many may be misplaced by rounding before a row is asked again."""


class Nearest(NamedTuple):
    """The nearest neighbours of each of N points among the others, nearest first."""

    squares: Float64
    """(N, k): squared distances."""
    indices: Indices
    """(N, k)."""


class Neighbourhoods(NamedTuple):
    """Which points of either set lie in a k-th-neighbour ball of the other set."""

    generated_inside: Bools
    """(N,): in the ball of some reference point; its mean is precision."""
    reference_inside: Bools
    """(M,): in the ball of some generated point; its mean is recall."""
    recall_without: Float64 | None
    """(N,): recall if generated image i were left out; None for N < k + 2."""


def neighbourhoods(
    generated: Features, reference: Features, *, k: int = 3, strict: bool = False, device: str = "cpu"
) -> Neighbourhoods:
    """Compare features (N, d) with (M, d) by k-th-neighbour balls; a point on the surface is inside unless `strict`.

    A point is never its own neighbour, which is decided by its index; its duplicate is one, at distance 0. With k = 3
    this is Kynkäänniemi et al. 2019; with k = 5 and `strict`, Naeem et al. 2020.

    Raises `FeatureError` for features that are not finite, of different widths, or no more than k a side.
    """
    for features, what in ((generated, "generated features"), (reference, "reference features")):
        _check_count(features, k, what)
    check_width(generated.shape[1], reference.shape[1])
    of_generated = nearest(generated, min(k + 1, len(generated) - 1), device=device)
    reference_squares = nearest(reference, k, device=device).squares[:, -1]
    generated_squares = of_generated.squares[:, k - 1]
    pairs = _Pairs(generated, reference, _dtypes(device)[0], device)
    crossing = _Crossing(pairs, generated_squares, reference_squares, of_generated.squares[:, -1])
    for rows in pairs.blocks(np.arange(len(generated))):
        crossing.take(rows)
    generated_inside = _decide(crossing.by_row, pairs, reference_squares, strict)
    reference_inside = _decide(crossing.by_column, pairs.swapped(), generated_squares, strict)
    without = None
    if len(generated) > k + 1:
        change = crossing.recall_changes(of_generated.indices[:, :k])
        without = reference_inside.mean() + change / len(reference)
    return Neighbourhoods(generated_inside, reference_inside, without)


def nearest(points: Features, k: int, *, device: str = "cpu") -> Nearest:
    """The k nearest neighbours of each of N points (N, d) among the others, self left out by index.

    Squared distances are Σ(x - y)² in float64. Raises `FeatureError` for features that are not finite or N <= k.
    """
    _check_count(points, k, "features")
    found = Nearest(np.empty((len(points), k)), np.empty((len(points), k), np.int64))
    unsure = np.arange(len(points))
    for dtype in _dtypes(device):
        if len(unsure):
            pairs = _Pairs(points, points, dtype, device)
            unsure = np.concatenate([_nearest_by_products(pairs, rows, found) for rows in pairs.blocks(unsure)])
    for row in unsure.tolist():
        _keep_nearest(found, points, row, np.delete(np.arange(len(points)), row))
    return found


def _check_count(features: Features, k: int, what: str) -> None:
    check_features(features, what, at_least=1)
    if k < 1 or len(features) <= k:
        raise FeatureError(
            f"{what}: {len(features)} image(s) have no neighbour number {k}",
            hint=f"k must be at least 1, and there must be more than k images (here {max(k, 1) + 1} or more)",
        )


def _dtypes(device: str) -> tuple[torch.dtype, ...]:
    """Types of products to try, in order. float32 only where it is float32: not TF32, not bfloat16."""
    if torch.device(device).type == "cpu" and torch.get_float32_matmul_precision() == "highest":
        return torch.float32, torch.float64
    return (torch.float64,)


class _Pairs:
    """Squared distances between two sets of features, by products, a block of rows at a time."""

    def __init__(self, x: Features, y: Features, dtype: torch.dtype, device: str) -> None:
        self.x, self.y, self.dtype, self.device = x, y, dtype, device
        centre = y.mean(axis=0, dtype=np.float64)
        self._x, x_squares = self._centred(x, centre)
        self._y, y_squares = (self._x, x_squares) if y is x else self._centred(y, centre)
        self._x_squares, self._y_squares = x_squares.to(dtype), y_squares.to(dtype)
        # A dot product of d terms errs by d·u·|x||y| at most, in any order of summation; the rest is for rounding the
        # centred features and adding the squares. |x||y| is at most a quarter of (|x| + |y|)².
        unit = (x.shape[1] / 2 + 16) * torch.finfo(dtype).eps / 2
        x_norms, y_norms = x_squares.sqrt(), y_squares.sqrt()
        self.row_error = unit * (x_norms + y_norms.max()) ** 2
        self.column_error = unit * (y_norms + x_norms.max()) ** 2

    def _centred(self, features: Features, centre: Float64) -> tuple[Tensor, Tensor]:
        out = torch.empty(features.shape, dtype=self.dtype)
        squares = torch.empty(len(features), dtype=torch.float64)
        for start in range(0, len(features), _DIRECT_ROWS):
            rows = torch.from_numpy(features[start : start + _DIRECT_ROWS] - centre)
            squares[start : start + _DIRECT_ROWS] = rows.square().sum(dim=1)
            out[start : start + _DIRECT_ROWS] = rows
        return out.to(self.device), squares.to(self.device)

    def swapped(self) -> _Pairs:
        return _Pairs(self.y, self.x, self.dtype, self.device)

    def blocks(self, rows: Indices) -> Iterator[Indices]:
        size = max(_BLOCK_BYTES // (len(self.y) * self.dtype.itemsize), 1)
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def squared_distances(self, rows: Indices) -> Tensor:
        index = torch.from_numpy(rows).to(self.device)
        products = self._x[index] @ self._y.T
        return products.mul_(-2).add_(self._x_squares[index, None]).add_(self._y_squares)


def _differences(points: Features, row: npt.NDArray[np.floating]) -> Float64:
    """Σ(x - row)² of each of (N, d) points in float64; a pair's is the same in either order and in any company."""
    out = np.empty(len(points))
    for start in range(0, len(points), _DIRECT_ROWS):
        difference = points[start : start + _DIRECT_ROWS].astype(np.float64) - row
        out[start : start + _DIRECT_ROWS] = np.square(difference, out=difference).sum(axis=1)
    return out


def _nearest_by_products(pairs: _Pairs, rows: Indices, found: Nearest) -> Indices:
    """Write into `found` what products can settle of a block of rows; the rows that they cannot are returned."""
    distances = pairs.squared_distances(rows)
    on_device = torch.from_numpy(rows).to(pairs.device)
    distances[torch.arange(len(rows), device=pairs.device), on_device] = torch.inf
    others = len(pairs.y) - 1
    top = distances.topk(min(found.squares.shape[1] + _SPARE, others), dim=1, largest=False)
    least_left_out = (top.values[:, -1].double() - pairs.row_error[on_device]).cpu().numpy()
    sure = np.zeros(len(rows), np.bool_)
    for place, (row, candidates) in enumerate(zip(rows.tolist(), top.indices.cpu().numpy(), strict=True)):
        furthest = _keep_nearest(found, pairs.x, row, candidates)
        sure[place] = furthest <= max(least_left_out[place], 0) or len(candidates) == others
    return rows[~sure]


def _keep_nearest(found: Nearest, points: Features, row: int, candidates: Indices) -> float:
    """Write the nearest of the candidates into `found` and return the greatest squared distance kept."""
    squares = _differences(points[candidates], points[row])
    order = np.argsort(squares, kind="stable")[: found.squares.shape[1]]
    found.squares[row], found.indices[row] = squares[order], candidates[order]
    return float(squares[order[-1]])


class _Gaps(NamedTuple):
    """For each point: the least d² - r² over all balls of the other set, which ball, and the error of that."""

    least: Tensor
    ball: Tensor
    error: Tensor


class _Crossing:
    """What one sweep over generated (rows) × reference (columns) finds, in both directions."""

    def __init__(self, pairs: _Pairs, row_squares: Float64, column_squares: Float64, grown: Float64) -> None:
        def tensor(squares: Float64) -> Tensor:
            return torch.from_numpy(squares).to(pairs.device, pairs.dtype)

        n, m = len(pairs.x), len(pairs.y)
        self._pairs = pairs
        self._row_squares, self._column_squares, self._grown = map(tensor, (row_squares, column_squares, grown))
        self.by_row = _empty_gaps(n, pairs.row_error)
        self.by_column = _empty_gaps(m, pairs.column_error)
        self._balls = torch.zeros(m, dtype=torch.int64, device=pairs.device)
        self._ball_sum = torch.zeros_like(self._balls)
        self._shells: list[Tensor] = []

    def take(self, rows: Indices) -> None:
        """Add a block of rows."""
        index = torch.from_numpy(rows).to(self._pairs.device)
        distances = self._pairs.squared_distances(rows)
        least, ball = (distances - self._column_squares).min(dim=1)
        self.by_row.least[index], self.by_row.ball[index] = least.double(), ball
        gaps = distances - self._row_squares[index, None]
        least, ball = gaps.min(dim=0)
        nearer = least < self.by_column.least
        self.by_column.least[nearer], self.by_column.ball[nearer] = least.double()[nearer], index[ball[nearer]]
        inside = gaps <= 0
        self._balls += inside.sum(dim=0)
        self._ball_sum += (inside * index[:, None]).sum(dim=0)
        shell = ((distances <= self._grown[index, None]) & ~inside).nonzero()
        shell[:, 0] = index[shell[:, 0]]
        self._shells.append(shell)

    def recall_changes(self, neighbours: Indices) -> Float64:
        """(N,): how many reference points are won (+) or lost (-) when generated image i is left out.

        Leaving i out removes its ball, and lets the balls that have it among their k `neighbours` (N, k) grow to their
        next neighbour. Distances on a surface are taken as products give them: this feeds a standard error.
        """
        balls, only = self._balls.cpu().numpy(), self._ball_sum.cpu().numpy()
        ball, point = torch.cat(self._shells).cpu().numpy().T
        touched, left_out = np.repeat(point, neighbours.shape[1]), neighbours[ball].ravel()
        won = np.unique(np.stack([touched, left_out])[:, balls[touched] == 0], axis=1)[1]
        kept = touched[(balls[touched] == 1) & (left_out == only[touched])]
        lost = only[(balls == 1) & ~np.isin(np.arange(len(balls)), kept)]
        n = len(neighbours)
        changes: Float64 = (np.bincount(won, minlength=n) - np.bincount(lost, minlength=n)).astype(np.float64)
        return changes


def _empty_gaps(count: int, error: Tensor) -> _Gaps:
    least = torch.full((count,), torch.inf, dtype=torch.float64, device=error.device)
    return _Gaps(least, torch.zeros(count, dtype=torch.int64, device=error.device), error)


def _decide(gaps: _Gaps, pairs: _Pairs, squares: Float64, strict: bool) -> Bools:
    """(N,): whether each x lies in a ball around some y of squared radius `squares` (M,)."""
    inside = np.zeros(len(pairs.x), np.bool_)
    unsure = _settle(gaps, pairs, squares, strict, np.arange(len(inside)), inside)
    dtypes = _dtypes(pairs.device)
    if len(unsure) and pairs.dtype != dtypes[-1]:
        exact = _Pairs(pairs.x[unsure], pairs.y, dtypes[-1], pairs.device)
        again = _empty_gaps(len(unsure), exact.row_error)
        radii = torch.from_numpy(squares).to(pairs.device)
        for rows in exact.blocks(np.arange(len(unsure))):
            least, ball = (exact.squared_distances(rows) - radii).min(dim=1)
            again.least[rows], again.ball[rows] = least, ball
        unsure = _settle(again, pairs, squares, strict, unsure, inside)
    for row in unsure:
        distances = _differences(pairs.y, pairs.x[row])
        inside[row] = bool((distances < squares).any() if strict else (distances <= squares).any())
    return inside


def _settle(gaps: _Gaps, pairs: _Pairs, squares: Float64, strict: bool, rows: Indices, inside: Bools) -> Indices:
    """Write into `inside` what the gaps of `rows` decide, and return the rows that they do not."""
    least, ball, error = (tensor.cpu().numpy() for tensor in gaps)
    inside[rows] = least < -error
    close = np.flatnonzero(np.abs(least) <= error)
    # A tie, such as a duplicate, is mostly with the ball that came out nearest; one exact distance then settles it.
    for place in close:
        row, at = rows[place], ball[place]
        distance = _differences(pairs.y[at : at + 1], pairs.x[row])[0]
        inside[row] = distance < squares[at] if strict else distance <= squares[at]
    undecided: Indices = rows[close[~inside[rows[close]]]]
    return undecided
