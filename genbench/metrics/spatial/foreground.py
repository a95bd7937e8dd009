"""SRSS: how much more an object's tokens resemble their neighbours in it than the background far off.

Singh et al. 2025, arXiv:2512.10794. The paper samples tokens; their script, and this module, takes all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from genbench.errors import FeatureError
from genbench.metrics.inputs import Float64
from genbench.tokens.arrays import blocks, check_tokens, unit
from genbench.tokens.grid import Grid

Bools = npt.NDArray[np.bool_]


def srss(tokens: Tensor, masks: Bools, grid: Grid | None = None, *, same: int, far: int) -> Float64:
    """SRSS of each image: tokens (N, T, D) and masks (N, T), True on the object => (N,); arithmetic in float64.

    For each object token that has both: its mean cosine to object tokens at distance 1..`same`, less that to background
    tokens at `far` and more; then the mean over those tokens. NaN for an image without such a token: an empty or full
    mask, an object of one token, a background that is all near.

    Raises `FeatureError` for tokens or masks that are no such arrays, and for tokens that are not finite.
    """
    grid = check_tokens(tokens, grid)
    if masks.shape != tuple(tokens.shape[:2]) or masks.dtype != np.bool_:
        raise FeatureError(
            f"expected boolean masks of shape {tuple(tokens.shape[:2])}, got {masks.dtype} {masks.shape}",
            hint="make them with `patch_masks(masks, grid)`, one for each image",
        )
    # NaN would be taken for an image that has no SRSS.
    bad = ~tokens.isfinite().flatten(1).all(dim=1)
    if bad.any():
        raise FeatureError(
            f"NaN or infinity in the tokens of image {int(bad.int().argmax())}",
            hint="look at that image and at the extractor's precision; `genbench cache verify` finds bad shards",
        )
    distance = _distances(grid).to(tokens.device)
    alike, apart = ((distance >= 1) & (distance <= same)).double(), (distance >= far).double()
    objects = torch.from_numpy(masks).to(alike)
    parts, start = [], 0
    for block in blocks(tokens, grid):
        stop = start + len(block)
        parts.append(_contrast(unit(block), objects[start:stop], alike, apart, grid))
        start = stop
    found: Float64 = torch.cat(parts).cpu().numpy()
    return found


def _contrast(units: Tensor, objects: Tensor, alike: Tensor, apart: Tensor, grid: Grid) -> Tensor:
    """(n, T, D), (n, T) of 0 and 1 => (n,): one row of the grid at a time, as anchors."""
    total, anchors = units.new_zeros(len(units)), units.new_zeros(len(units))
    for row in range(0, grid.tokens, grid.width):
        rows = slice(row, row + grid.width)
        cosines = units[:, rows] @ units.mT
        near = _mean_over(cosines, alike[rows], objects)
        distant = _mean_over(cosines, apart[rows], 1 - objects)
        contrast = near - distant
        valid = (objects[:, rows] > 0) & contrast.isfinite()
        total += contrast.where(valid, 0).sum(dim=1)
        anchors += valid.sum(dim=1)
    return total / anchors


def _mean_over(cosines: Tensor, lattice: Tensor, chosen: Tensor) -> Tensor:
    """(n, W, T), (W, T), (n, T) => (n, W): the mean over chosen tokens on the lattice; NaN for none."""
    return torch.einsum("nwt,wt,nt->nw", cosines, lattice, chosen) / (chosen @ lattice.T)


def _distances(grid: Grid) -> Tensor:
    """(T, T) Manhattan distances."""
    y, x = torch.arange(grid.height), torch.arange(grid.width)
    down, across = (y[:, None] - y).abs(), (x[:, None] - x).abs()
    return (down[:, None, :, None] + across[None, :, None, :]).reshape(grid.tokens, grid.tokens)


def patch_masks(masks: npt.NDArray[Any], grid: Grid) -> Bools:
    """Masks of pixels (N, h, w), any number type, to masks of tokens (N, T): True where any pixel of a patch is > 0.

    A pixel that lies in two patches, where the sides do not divide, counts in both. Raises `FeatureError` for another
    shape.
    """
    if masks.ndim != 3 or 0 in masks.shape:
        raise FeatureError(
            f"expected masks of shape (N, height, width), got {masks.shape}", hint="give one channel of each mask"
        )
    pixels = torch.from_numpy((masks > 0).astype(np.float32))
    patches = functional.adaptive_max_pool2d(pixels, (grid.height, grid.width))
    found: Bools = patches.flatten(1).numpy() > 0
    return found


def balanced(masks: Bools) -> Bools:
    """(N, T) => (N,): whether object and background have a quarter of the tokens each, at least.

    The authors' script takes only such images (64 of 256 tokens).
    """
    quarter = masks.shape[1] / 4
    objects = masks.sum(axis=1)
    chosen: Bools = (objects >= quarter) & (masks.shape[1] - objects >= quarter)
    return chosen
