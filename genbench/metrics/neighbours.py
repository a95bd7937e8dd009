"""k-th-neighbour balls of two sets of features, exact, from blocked sweeps over all pairs.

Squared distances come from matrix products (|x|² + |y|² - 2x·y), which lose what near-duplicates differ in. So products
only sort pairs into sure and unsure, by a bound on their rounding, and what is unsure is taken from the differences
themselves. Every decision is that of comparing Σ(x - y)² in float64, at the price of float32 products. Memory is
O((N + M) · d) for centred copies, and one block: a distance matrix never exists.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genbench.errors import FeatureError
from genbench.metrics.balls import Balls
from genbench.metrics.inputs import Features, Float64, check_features, check_width
from genbench.metrics.products import float32_is_full, products

Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

_BLOCK_BYTES = 16 * 2**20
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
    balls_around: Indices
    """(N,): how many reference balls it is in; its mean over k is density."""
    covered: Bools
    """(M,): the ball of that reference point holds some generated image; its mean is coverage."""
    coverage_without: Float64
    """(N,): coverage if generated image i were left out."""


def neighbourhoods(
    generated: Features, reference: Features, *, k: int = 3, strict: bool = False, device: str = "cpu"
) -> Neighbourhoods:
    """`sweep` for one form of balls: k-th neighbour; a point on the surface is inside unless `strict`."""
    return sweep(generated, reference, [Balls(k, strict)], device=device)[Balls(k, strict)]


def sweep(
    generated: Features, reference: Features, forms: Sequence[Balls], *, device: str = "cpu"
) -> dict[Balls, Neighbourhoods]:
    """Compare features (N, d) with (M, d) by every form of balls, from one pass over all pairs.

    A point is never its own neighbour, which is decided by its index; its duplicate is one, at distance 0. `IMPROVED`
    is the form of Kynkäänniemi et al. 2019, `PRDC` that of Naeem et al. 2020.

    Raises `FeatureError` for features that are not finite, of different widths, or no more than k a side.
    """
    most = max(balls.k for balls in forms)
    for balls in forms:
        _check_count(generated, balls.k, "generated features")
        _check_count(reference, balls.k, "reference features")
    check_width(generated.shape[1], reference.shape[1])
    of_generated = nearest(generated, min(most + 1, len(generated) - 1), device=device)
    of_reference = nearest(reference, most, device=device)
    pairs = _Pairs(generated, reference, _dtypes(device)[0], device)
    crossings = {balls: _Crossing(balls, of_generated, of_reference) for balls in forms}
    grown = np.concatenate([crossing.grown[None] for crossing in crossings.values()])
    generated_squares = np.concatenate([of_generated.squares[:, [balls.k - 1 for balls in forms]].T, grown])
    reference_squares = of_reference.squares[:, [balls.k - 1 for balls in forms]].T
    for rows in pairs.blocks(np.arange(len(generated))):
        distances = pairs.squared_distances(rows)
        by_reference = pairs.near(rows, distances, reference_squares[:, None, :])
        by_generated = pairs.near(rows, distances, generated_squares[:, rows, None])
        for crossing in crossings.values():
            crossing.take(by_reference, by_generated)
    return {balls: crossing.result() for balls, crossing in crossings.items()}


def nearest(points: Features, k: int, *, among: Features | None = None, device: str = "cpu") -> Nearest:
    """The k nearest neighbours of each of N points (N, d), among the others, or `among` (M, d) points of another set.

    A point is left out of its own neighbours by its index. Squared distances are Σ(x - y)² in float64. Raises
    `FeatureError` for features that are not finite, of different widths, or too few to have k neighbours.
    """
    if among is None:
        _check_count(points, k, "features")
    else:
        check_features(points, "features", at_least=1)
        check_features(among, "features to search", at_least=k)
        check_width(points.shape[1], among.shape[1])
    # A view, so that `among` is another set even where it is the same array.
    others = points if among is None else among.view()
    found = Nearest(np.empty((len(points), k)), np.empty((len(points), k), np.int64))
    unsure = np.arange(len(points))
    count = min(k + _SPARE, len(others) - (among is None))
    for dtype in _dtypes(device):
        if len(unsure):
            pairs = _Pairs(points, others, dtype, device)
            # Tiles serve both of their sides; a few rows are cheaper by themselves.
            by_tiles = among is None and len(unsure) == len(points)
            tops = _top_by_tiles(pairs, count) if by_tiles else _top_by_rows(pairs, unsure, count)
            unsure = np.concatenate([_keep_sure(pairs, top, found) for top in tops])
    everyone = np.arange(len(others))
    for row in unsure.tolist():
        _keep_nearest(found, points[row], others, row, np.delete(everyone, row) if among is None else everyone)
    return found


def _check_count(features: Features, k: int, what: str) -> None:
    check_features(features, what, at_least=1)
    if k < 1 or len(features) <= k:
        raise FeatureError(
            f"{what}: {len(features)} image(s) have no neighbour number {k}",
            hint=f"k must be at least 1, and there must be more than k images (here {max(k, 1) + 1} or more)",
        )


def _dtypes(device: str) -> tuple[torch.dtype, ...]:
    """Types of products to try, in order."""
    return (torch.float32, torch.float64) if float32_is_full(device) else (torch.float64,)


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
        self.row_error = unit * (x_squares.sqrt() + y_squares.max().sqrt()) ** 2

    def _centred(self, features: Features, centre: Float64) -> tuple[Tensor, Tensor]:
        out = torch.empty(features.shape, dtype=self.dtype)
        squares = torch.empty(len(features), dtype=torch.float64)
        for start in range(0, len(features), _DIRECT_ROWS):
            rows = torch.from_numpy(features[start : start + _DIRECT_ROWS] - centre)
            squares[start : start + _DIRECT_ROWS] = rows.square().sum(dim=1)
            out[start : start + _DIRECT_ROWS] = rows
        return out.to(self.device), squares.to(self.device)

    def blocks(self, rows: Indices) -> Iterator[Indices]:
        size = max(_BLOCK_BYTES // (len(self.y) * self.dtype.itemsize), 1)
        return (rows[start : start + size] for start in range(0, len(rows), size))

    def squared_distances(self, rows: Indices, columns: Indices | None = None) -> Tensor:
        """(rows, M), or (rows, columns) of columns that follow one another."""
        index = torch.from_numpy(rows).to(self.device)
        part = slice(None) if columns is None else slice(int(columns[0]), int(columns[-1]) + 1)
        squares = products(self._x[index], self._y[part])
        return squares.mul_(-2).add_(self._x_squares[index, None]).add_(self._y_squares[part])

    def near(self, rows: Indices, distances: Tensor, squares: Float64) -> _Near:
        """The pairs of a block of `rows` whose squared distance is at most the greatest of `squares`, and perhaps more.

        `squares` (F, rows or 1, 1 or M) are thresholds. A distance that rounding could put on the wrong side of one
        of them is replaced by the exact one.
        """
        index = torch.from_numpy(rows).to(self.device)
        error = self.row_error[index].cpu().numpy()[:, None]
        limit = torch.from_numpy(squares.max(axis=0) + (error if squares.shape[1] > 1 else error.max()))
        place, column = (distances <= limit.to(self.device, self.dtype)).nonzero(as_tuple=True)
        found = distances[place, column].double().cpu().numpy()
        at, y = place.cpu().numpy(), column.cpu().numpy()
        broad = np.broadcast_to(squares, (len(squares), *distances.shape))
        unsure = np.flatnonzero((np.abs(found - broad[:, at, y]) <= error[at, 0]).any(axis=0))
        for start in range(0, len(unsure), _DIRECT_ROWS):
            part = unsure[start : start + _DIRECT_ROWS]
            difference = self.x[rows[at[part]]].astype(np.float64) - self.y[y[part]]
            found[part] = np.square(difference, out=difference).sum(axis=1)
        return _Near(rows[at], y, found)


def _differences(points: Features, row: npt.NDArray[np.floating]) -> Float64:
    """Σ(x - row)² of each of (N, d) points in float64; a pair's is the same in either order and in any company."""
    out = np.empty(len(points))
    for start in range(0, len(points), _DIRECT_ROWS):
        difference = points[start : start + _DIRECT_ROWS].astype(np.float64) - row
        out[start : start + _DIRECT_ROWS] = np.square(difference, out=difference).sum(axis=1)
    return out


class _Top(NamedTuple):
    """The nearest candidates of a block of rows by products, in order."""

    rows: Indices
    """(B,)."""
    values: Tensor
    """(B, count): squared distances."""
    indices: Tensor
    """(B, count)."""


def _top_by_rows(pairs: _Pairs, rows: Indices, count: int) -> Iterator[_Top]:
    for block in pairs.blocks(rows):
        distances = pairs.squared_distances(block)
        if pairs.x is pairs.y:
            distances[torch.arange(len(block)), torch.from_numpy(block)] = torch.inf
        yield _Top(block, *distances.topk(count, dim=1, largest=False))


def _top_by_tiles(pairs: _Pairs, count: int) -> Iterator[_Top]:
    """All rows of pairs within one set, each pair of tiles being visited once: half the products."""
    n = len(pairs.x)
    side = max(math.isqrt(_BLOCK_BYTES // pairs.dtype.itemsize), 1)
    tiles = [np.arange(start, min(start + side, n)) for start in range(0, n, side)]
    values = torch.full((n, count), torch.inf, dtype=pairs.dtype, device=pairs.device)
    indices = torch.zeros((n, count), dtype=torch.int64, device=pairs.device)

    def merge(rows: Indices, columns: Indices, distances: Tensor) -> None:
        part = slice(rows[0], rows[-1] + 1)
        top = distances.topk(min(count, len(columns)), dim=1, largest=False)
        kept = torch.cat([values[part], top.values], dim=1).topk(count, dim=1, largest=False)
        values[part] = kept.values
        indices[part] = torch.cat([indices[part], top.indices + columns[0]], dim=1).gather(1, kept.indices)

    for first, rows in enumerate(tiles):
        for columns in tiles[first:]:
            distances = pairs.squared_distances(rows, columns)
            if rows is columns:
                distances.fill_diagonal_(torch.inf)
            else:
                merge(columns, rows, distances.T.contiguous())
            merge(rows, columns, distances)
    for rows in tiles:
        yield _Top(rows, values[rows[0] : rows[-1] + 1], indices[rows[0] : rows[-1] + 1])


def _keep_sure(pairs: _Pairs, top: _Top, found: Nearest) -> Indices:
    """Write into `found` what products can settle of a block of rows; the rows that they cannot are returned."""
    error = pairs.row_error[torch.from_numpy(top.rows).to(pairs.device)]
    least_left_out = (top.values[:, -1].double() - error).cpu().numpy()
    everyone = top.values.shape[1] == len(pairs.y) - (pairs.x is pairs.y)
    sure = np.zeros(len(top.rows), np.bool_)
    for place, (row, candidates) in enumerate(zip(top.rows.tolist(), top.indices.cpu().numpy(), strict=True)):
        furthest = _keep_nearest(found, pairs.x[row], pairs.y, row, candidates)
        sure[place] = everyone or furthest <= max(least_left_out[place], 0)
    return top.rows[~sure]


def _keep_nearest(found: Nearest, point: Features, others: Features, row: int, candidates: Indices) -> float:
    """Write the nearest of the candidates into `found` and return the greatest squared distance kept."""
    squares = _differences(others[candidates], point)
    order = np.argsort(squares, kind="stable")[: found.squares.shape[1]]
    found.squares[row], found.indices[row] = squares[order], candidates[order]
    return float(squares[order[-1]])


class _Near(NamedTuple):
    """Pairs of points that are near each other."""

    x: Indices
    """(P,)."""
    y: Indices
    """(P,)."""
    squares: Float64
    """(P,): squared distances, on the right side of every threshold that was asked for."""


class _Crossing:
    """What a sweep over generated × reference finds for one form of balls, in both directions."""

    def __init__(self, balls: Balls, of_generated: Nearest, of_reference: Nearest) -> None:
        n, m, k = len(of_generated.squares), len(of_reference.squares), balls.k
        self._inside = np.less if balls.strict else np.less_equal
        self._neighbours = of_generated.indices[:, :k]
        self._generated_squares, self._reference_squares = (
            of_generated.squares[:, k - 1],
            of_reference.squares[:, k - 1],
        )
        self.grown = of_generated.squares[:, min(k, of_generated.squares.shape[1] - 1)]
        """(N,): squared radii to the neighbour after the k-th, which a ball has once one of the k is gone."""
        self._around = np.zeros(n, np.int64)
        self._in_reference_ball, self._in_generated_balls = _Holders.of(m), _Holders.of(m)
        self._shells: list[_Near] = []

    def take(self, by_reference: _Near, by_generated: _Near) -> None:
        """Add the pairs of a block that are near by the radii of the reference, and by those of generated points."""
        held = self._inside(by_reference.squares, self._reference_squares[by_reference.y])
        self._around += np.bincount(by_reference.x[held], minlength=len(self._around))
        self._in_reference_ball.add(by_reference.x[held], by_reference.y[held])
        held = self._inside(by_generated.squares, self._generated_squares[by_generated.x])
        self._in_generated_balls.add(by_generated.x[held], by_generated.y[held])
        shell = ~held & self._inside(by_generated.squares, self.grown[by_generated.x])
        self._shells.append(_Near(by_generated.x[shell], by_generated.y[shell], by_generated.squares[shell]))

    def result(self) -> Neighbourhoods:
        n, m = len(self._around), len(self._in_reference_ball.count)
        reference_inside = self._in_generated_balls.count > 0
        covered = self._in_reference_ball.count > 0
        lost = np.bincount(self._in_reference_ball.only(), minlength=n)
        without = n > self._neighbours.shape[1] + 1
        return Neighbourhoods(
            generated_inside=self._around > 0,
            reference_inside=reference_inside,
            recall_without=reference_inside.mean() + self._recall_changes() / m if without else None,
            balls_around=self._around,
            covered=covered,
            coverage_without=covered.mean() - lost / m,
        )

    def _recall_changes(self) -> Float64:
        """(N,): how many reference points are won (+) or lost (-) when generated image i is left out.

        Leaving i out removes its ball, and lets the balls that have it among their k neighbours grow to their next one.
        """
        balls, last = self._in_generated_balls.count, self._in_generated_balls.last
        ball = np.concatenate([shell.x for shell in self._shells])
        point = np.concatenate([shell.y for shell in self._shells])
        n, k = self._neighbours.shape
        touched, left_out = np.repeat(point, k), self._neighbours[ball].ravel()
        won = np.unique(np.stack([touched, left_out])[:, balls[touched] == 0], axis=1)[1]
        kept = touched[(balls[touched] == 1) & (left_out == last[touched])]
        lost = last[(balls == 1) & ~np.isin(np.arange(len(balls)), kept)]
        changes: Float64 = (np.bincount(won, minlength=n) - np.bincount(lost, minlength=n)).astype(np.float64)
        return changes


@dataclass(frozen=True, eq=False)
class _Holders:
    """For each reference point: by how many generated points it is held, and the last of them."""

    count: Indices
    last: Indices

    @classmethod
    def of(cls, points: int) -> _Holders:
        return cls(np.zeros(points, np.int64), np.zeros(points, np.int64))

    def add(self, holders: Indices, points: Indices) -> None:
        self.count[:] += np.bincount(points, minlength=len(self.count))
        self.last[points] = holders

    def only(self) -> Indices:
        """The holder of each point that has one holder."""
        found: Indices = self.last[self.count == 1]
        return found
