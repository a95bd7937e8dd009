"""LDS, CDS and RMSC of images, from their correlograms (Singh et al. 2025, arXiv:2512.10794).

    LDS  = mean of g over near pairs - mean of g over far pairs      local against distant similarity
    CDS  = -slope of the line fitted to g(1), g(2), …                decay of similarity with distance
    RMSC = √(mean |x̂ - mean x̂|²) = √(g(0) - Σ n_d g(d) / T²)         spread of the unit tokens around their mean

RMSC stays the same when tokens change places: it is spread, not layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.inputs import Float64
from genbench.tokens.grid import Grid


class Ranges(NamedTuple):
    """Which distances on the lattice count as near, far, and as part of the decay."""

    near: int
    """LDS: 1 to `near` is near."""
    far: int
    """LDS and SRSS: `far` and more is far."""
    same: int
    """SRSS: a token's own object is seen at 1 to `same`."""
    decay: int
    """CDS: the line is fitted to 1 to `decay`."""


def _code(_: Grid) -> Ranges:
    return Ranges(near=1, far=6, same=1, decay=8)


def _paper(grid: Grid) -> Ranges:
    side = min(grid)
    return Ranges(near=(side - 1) // 2, far=(side + 1) // 2, same=side // 2, decay=8)


PRESETS: Mapping[str, Callable[[Grid], Ranges]] = MappingProxyType({"code": _code, "paper": _paper})
"""``code``: what the authors' script computes, which their published correlations come from: near is d = 1, far is
d >= 6, on any grid. ``paper``: what the text says: near is 0 < d < H/2 (SRSS: d <= H/2), far is d >= H/2. The two give
other numbers. The paper leaves the range of CDS open; both take the script's. Where there are masks, ``code`` takes all
four metrics of the images with `foreground.balanced` ones alone; the paper tells of no such choice.
"""


def lds(correlograms: Float64, grid: Grid, *, near: int, far: int) -> Float64:
    """LDS of each image: correlograms (N, H + W - 1) => (N,).

    Means are over pairs of tokens, so distances weigh by how many pairs they have. Raises `FeatureError` where the grid
    has no near or no far pairs.
    """
    _check(correlograms, grid)
    if near < 1 or not 1 <= far <= grid.farthest:
        raise _too_small(grid, f"LDS with near d = 1..{near} and far d >= {far}")
    pairs = grid.pairs
    by_pairs = correlograms * pairs
    nearby: Float64 = by_pairs[:, 1 : near + 1].sum(axis=1) / pairs[1 : near + 1].sum()
    distant: Float64 = by_pairs[:, far:].sum(axis=1) / pairs[far:].sum()
    return nearby - distant


def cds(correlograms: Float64, grid: Grid, *, decay: int) -> Float64:
    """CDS of each image: correlograms (N, H + W - 1) => (N,); least squares over d = 1..`decay`, unweighted.

    Raises `FeatureError` where the grid does not reach that far, or `decay` leaves no line to fit.
    """
    _check(correlograms, grid)
    if not 2 <= decay <= grid.farthest:
        raise _too_small(grid, f"CDS over d = 1..{decay}")
    centred = np.arange(1, decay + 1) - (decay + 1) / 2
    slope: Float64 = correlograms[:, 1 : decay + 1] @ centred / (centred @ centred)
    return -slope


def rmsc(correlograms: Float64, grid: Grid) -> Float64:
    """RMSC of each image: correlograms (N, H + W - 1) => (N,). Tokens that are all alike give 0, to about 1e-8."""
    _check(correlograms, grid)
    square_of_mean = correlograms @ (grid.pairs / grid.tokens**2)
    return np.sqrt(np.maximum(correlograms[:, 0] - square_of_mean, 0))


def _check(correlograms: Float64, grid: Grid) -> None:
    if correlograms.ndim != 2 or correlograms.shape[1] != grid.farthest + 1:
        raise FeatureError(
            f"correlograms of shape {correlograms.shape} are not of a {grid.height}x{grid.width} grid, "
            f"which has distances 0..{grid.farthest}",
            hint="make them with `correlograms(tokens, grid)`",
        )


def _too_small(grid: Grid, what: str) -> FeatureError:
    return FeatureError(
        f"{what} is not defined on a grid of {grid.height}x{grid.width} tokens, corners {grid.farthest} apart",
        hint="take a space with more tokens, or shorter distances",
    )


class Mean(NamedTuple):
    """A mean over images."""

    value: float
    stderr: float | None
    """Standard deviation over √n; None for a single image."""
    n: int
    """Images that have a value."""


def mean_over_images(values: Float64) -> Mean:
    """Mean and standard error of (N,) values, NaN left out. Raises `FeatureError` if nothing is left."""
    defined = values[~np.isnan(values)]
    n = len(defined)
    if n == 0:
        raise FeatureError(
            f"none of {len(values)} images has a value",
            hint="SRSS needs masks with object and background in one image",
        )
    stderr = float(defined.std(ddof=1)) / n**0.5 if n > 1 else None
    return Mean(float(defined.mean()), stderr, n)
