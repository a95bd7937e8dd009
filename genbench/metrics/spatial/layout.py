"""Layout of an image: which of 4x4 regions resemble which, whatever it is that they show.

Self-similarity as a descriptor is of Shechtman & Irani 2007; the patch cosines as "structure" of Tumanyan et al. 2022.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genbench.errors import FeatureError
from genbench.metrics.moments import Float64
from genbench.metrics.spatial.tokens import Grid, Tokens, blocks, check_tokens, unit

REGIONS = 4
"""Regions a side."""
WIDTH = REGIONS**2 * (REGIONS**2 - 1) // 2
"""Pairs of regions: 120."""


def layouts(tokens: Tokens, grid: Grid | None = None, *, mirrored: bool = False, device: str = "cpu") -> Float64:
    """Cosines between the regions of each image: tokens (N, T, D) => (N, 120); arithmetic in float64.

    A region is the mean of its tokens (a token on the border of two belongs to both in parts, where 4 does not divide
    the side), less the mean of all regions. Entry (i, j), i < j, stands in row-major order. With `mirrored` each image
    is averaged with its mirror image, for data sets that are trained on with random flips.

    Raises `FeatureError` for tokens that are no such array or not finite, and for a grid below 4x4.
    """
    grid = check_tokens(tokens, grid)
    if min(grid) < REGIONS:
        raise FeatureError(
            f"a grid of {grid.height}x{grid.width} tokens has no {REGIONS}x{REGIONS} regions",
            hint="take a space with at least 4x4 tokens",
        )
    down, across = _pooling(grid.height).to(device), _pooling(grid.width).to(device)
    upper = torch.triu_indices(REGIONS**2, REGIONS**2, offset=1)
    mirror = torch.arange(REGIONS**2).view(REGIONS, REGIONS).flip(1).flatten()
    found: Float64 = np.empty((len(tokens), WIDTH))
    for images, block in blocks(tokens, grid, device):
        fields = block.view(len(block), *grid, -1)
        regions = torch.einsum("ay,nyxd,bx->nabd", down, fields, across).flatten(1, 2)
        centred = unit(regions - regions.mean(dim=1, keepdim=True))
        cosines = centred @ centred.mT
        if mirrored:
            cosines = (cosines + cosines[:, mirror][:, :, mirror]) / 2
        found[images] = cosines[:, upper[0], upper[1]].cpu().numpy()
    return found


def _pooling(side: int) -> Tensor:
    """(4, side) weights of the positions in each quarter of a line; rows sum to 1."""
    position = torch.arange(side, dtype=torch.float64)
    start = torch.arange(REGIONS, dtype=torch.float64)[:, None] * side / REGIONS
    overlap = torch.minimum(start + side / REGIONS, position + 1) - torch.maximum(start, position)
    return overlap.clamp(min=0) * REGIONS / side
