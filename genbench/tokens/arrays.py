"""What an array of patch tokens must be before anything is computed from it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from genbench.errors import FeatureError
from genbench.tokens.grid import Grid, square_grid

_BLOCK_NUMBERS = 2**22
"""Numbers in the largest array of a block of images: 32 MiB in float64."""
_SHORTEST = 1e-8
"""Tokens shorter than this are not stretched to length 1, so a token of zeros is like no other and not like itself."""


def check_tokens(tokens: Tensor, grid: Grid | None = None) -> Grid:
    """Check the shape and type of `tokens` and return their grid: `grid`, or else the square one.

    Tokens are (N, T, D), T patch tokens an image in raster order, without class and register tokens.

    Raises `FeatureError` for another shape, for D or N of 0, for another type than float32 or float64, and for a grid
    of another number of tokens.
    """
    if tokens.ndim != 3 or len(tokens) == 0 or tokens.shape[2] == 0:
        raise FeatureError(
            f"expected tokens of shape (N, T, D), got {tuple(tokens.shape)}",
            hint="give the patch tokens of at least one image, in raster order",
        )
    if tokens.dtype not in (torch.float32, torch.float64):
        raise FeatureError(f"expected tokens in float32 or float64, got {tokens.dtype}", hint="convert with .float()")
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


def blocks(tokens: Tensor, grid: Grid) -> Iterator[Tensor]:
    """Some images at a time: their tokens (n, T, D) in float64."""
    for block in torch.split(tokens, images_a_block(grid, tokens.shape[2])):
        yield block.double()


def unit(vectors: Tensor) -> Tensor:
    """(…, D) scaled to length 1."""
    return functional.normalize(vectors, dim=-1, eps=_SHORTEST)
