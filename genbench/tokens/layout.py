"""Layout of an image: which of 4x4 regions resemble which, whatever it is that they show.

Self-similarity as a descriptor is of Shechtman & Irani 2007; the patch cosines as "structure" of Tumanyan et al. 2022.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genbench.errors import FeatureError
from genbench.tokens.arrays import blocks, check_tokens, unit
from genbench.tokens.grid import REGIONS, Grid

Float64 = npt.NDArray[np.float64]


def layouts(tokens: Tensor, grid: Grid | None = None) -> Tensor:
    """Cosines between the regions of each image: tokens (N, T, D) => float64 (N, 120), on the same device.

    A region is the mean of its tokens (a token on the border of two belongs to both in parts, where 4 does not divide
    the side), less the mean of all regions. Entry (i, j), i < j, stands in row-major order. An image with a token that
    is not finite has NaN.

    Raises `FeatureError` for tokens that are no such array, and for a grid below 4x4.
    """
    grid = check_tokens(tokens, grid)
    if min(grid) < REGIONS:
        raise FeatureError(
            f"a grid of {grid.height}x{grid.width} tokens has no {REGIONS}x{REGIONS} regions",
            hint="take a space with at least 4x4 tokens",
        )
    return torch.cat([_layouts(block, grid) for block in blocks(tokens, grid)])


def _layouts(tokens: Tensor, grid: Grid) -> Tensor:
    down, across = _pooling(grid.height).to(tokens), _pooling(grid.width).to(tokens)
    fields = tokens.view(len(tokens), *grid, -1)
    regions = torch.einsum("ay,nyxd,bx->nabd", down, fields, across).flatten(1, 2)
    centred = unit(regions - regions.mean(dim=1, keepdim=True))
    upper = torch.triu_indices(REGIONS**2, REGIONS**2, offset=1)
    return (centred @ centred.mT)[:, upper[0], upper[1]]


def _pooling(side: int) -> Tensor:
    """(4, side) weights of the positions in each quarter of a line; rows sum to 1."""
    position = torch.arange(side, dtype=torch.float64)
    start = torch.arange(REGIONS, dtype=torch.float64)[:, None] * side / REGIONS
    overlap = torch.minimum(start + side / REGIONS, position + 1) - torch.maximum(start, position)
    return overlap.clamp(min=0) * REGIONS / side


def averaged_with_mirror(layouts: Float64) -> Float64:
    """(N, 120) => (N, 120): the mean of each layout and its mirror image's, for data sets trained on with random flips.

    Mirroring moves regions and with them the entries; the layout of the mirrored image needs no tokens.
    """
    mirror = np.arange(REGIONS**2).reshape(REGIONS, REGIONS)[:, ::-1].ravel()
    upper = np.triu_indices(REGIONS**2, k=1)
    entry = np.zeros((REGIONS**2, REGIONS**2), np.int64)
    entry[upper] = np.arange(len(upper[0]))
    entry += entry.T
    mirrored: Float64 = layouts[:, entry[mirror[upper[0]], mirror[upper[1]]]]
    return (layouts + mirrored) / 2
