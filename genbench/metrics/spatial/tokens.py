"""What an array of patch tokens must be before anything is computed from it, and the lattice that it lies on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from genbench.errors import FeatureError

_BLOCK_NUMBERS = 2**22
"""Numbers in the largest array of a block of images: 32 MiB in float64."""
_SHORTEST = 1e-8
"""Tokens shorter than this are not stretched to length 1, so a token of zeros is like no other and not like itself."""

Tokens = npt.NDArray[np.floating[Any]]
"""(N, T, D) float32 or float64: T patch tokens an image in raster order, without class and register tokens."""


class Grid(NamedTuple):
    """The lattice of an image's tokens. Distances on it are Manhattan: steps down plus steps across."""

    height: int
    width: int

    @property
    def tokens(self) -> int:
        """T."""
        return self.height * self.width

    @property
    def farthest(self) -> int:
        """The distance of opposite corners."""
        return self.height + self.width - 2

    @property
    def pairs(self) -> npt.NDArray[np.int64]:
        """(farthest + 1,): ordered pairs of tokens at distance 0, 1, …; their sum is T²."""
        return np.convolve(_pairs_along(self.height), _pairs_along(self.width))


def _pairs_along(side: int) -> npt.NDArray[np.int64]:
    """(side,): ordered pairs of positions on a line that are 0, 1, … apart."""
    pairs = 2 * (side - np.arange(side, dtype=np.int64))
    pairs[0] = side
    return pairs


def square_grid(tokens: int) -> Grid:
    """The square lattice of that many tokens. Raises `FeatureError` if there is none."""
    side = math.isqrt(max(tokens, 0))
    if side == 0 or side * side != tokens:
        raise FeatureError(
            f"{tokens} tokens an image are no square grid",
            hint="drop class and register tokens, or give the grid's height and width",
        )
    return Grid(side, side)


def check_tokens(tokens: Tokens, grid: Grid | None = None) -> Grid:
    """Check the shape and type of `tokens` and return their grid: `grid`, or else the square one.

    Raises `FeatureError` for another shape than (N, T, D) with N >= 1 and D >= 1, another type than float32 or
    float64, and for a grid of another number of tokens.
    """
    if tokens.ndim != 3 or len(tokens) == 0 or tokens.shape[2] == 0:
        raise FeatureError(
            f"expected tokens of shape (N, T, D), got {tokens.shape}",
            hint="give the patch tokens of at least one image, in raster order",
        )
    if tokens.dtype not in (np.float32, np.float64):
        raise FeatureError(
            f"expected tokens in float32 or float64, got {tokens.dtype}", hint="convert with .astype(numpy.float32)"
        )
    count = tokens.shape[1]
    if grid is None:
        return square_grid(count)
    if min(grid) < 1 or grid.tokens != count:
        raise FeatureError(
            f"{count} tokens an image do not fill a grid of {grid.height}x{grid.width}",
            hint="drop class and register tokens, and check height and width",
        )
    return grid


def images_a_block(grid: Grid, width: int) -> int:
    """How many images to hold at once: their D-wide tokens, and all cosines of one row of each grid, stay in bounds."""
    return max(1, _BLOCK_NUMBERS // (grid.tokens * max(width, grid.width)))


def blocks(tokens: Tokens, grid: Grid, device: str = "cpu") -> Iterator[tuple[slice, Tensor]]:
    """Some images at a time: which, and their tokens (n, T, D) in float64.

    Raises `FeatureError` for NaN or infinity.
    """
    step = images_a_block(grid, tokens.shape[2])
    for start in range(0, len(tokens), step):
        block = np.asarray(tokens[start : start + step])
        bad = ~np.isfinite(block).all(axis=(1, 2))
        if bad.any():
            raise FeatureError(
                f"NaN or infinity in the tokens of image {start + int(bad.argmax())}",
                hint="look at that image and at the extractor's precision; `genbench cache verify` finds bad shards",
            )
        yield slice(start, start + len(block)), torch.from_numpy(block.astype(np.float64)).to(device)


def unit(vectors: Tensor) -> Tensor:
    """(…, D) scaled to length 1."""
    return functional.normalize(vectors, dim=-1, eps=_SHORTEST)
