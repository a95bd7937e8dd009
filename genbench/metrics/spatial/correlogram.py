"""g(d), the correlogram of an image: the mean cosine similarity of two of its tokens at Manhattan distance d.

LDS, CDS and RMSC² are linear in it (see `structure`), so the 31 numbers of a 16x16 grid are all that has to be kept of
its 65,536 cosines.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from genbench.metrics.moments import Float64
from genbench.metrics.spatial.tokens import Grid, Tokens, blocks, check_tokens, unit


def correlograms(tokens: Tokens, grid: Grid | None = None, *, device: str = "cpu") -> Float64:
    """g(0), g(1), …, g(H + W - 2) of each image: tokens (N, T, D) => (N, H + W - 1); arithmetic in float64.

    g(0) is 1, less where tokens are zero. Without `grid` the tokens lie on the square one. Cosines are made for one row
    of the grid against the rows below it and for a block of images at a time; the T x T matrix of all never exists.

    Raises `FeatureError` for tokens that are no such array, fill no grid, or are not finite.
    """
    grid = check_tokens(tokens, grid)
    found: Float64 = np.empty((len(tokens), grid.farthest + 1))
    for images, block in blocks(tokens, grid, device):
        found[images] = _sums_by_distance(unit(block), grid).cpu().numpy()
    return found / grid.pairs


def _sums_by_distance(units: Tensor, grid: Grid) -> Tensor:
    """(n, T, D) of length 1 => (n, H + W - 1): sums of cosines over ordered pairs at each distance."""
    n, height, width = len(units), grid.height, grid.width
    rows = units.view(n, height, width, -1)
    columns_apart = _columns_apart(width).to(units)
    by_steps = units.new_zeros(n, height, width)
    for y in range(height):
        below = height - y
        cosines = torch.bmm(rows[:, y], rows[:, y:].flatten(1, 2).mT).view(n, width, below, width)
        sums = cosines.transpose(1, 2).flatten(2) @ columns_apart
        sums[:, 1:] *= 2  # each pair of different rows is met once, and counts in both orders
        by_steps[:, :below] += sums
    by_distance = units.new_zeros(n, grid.farthest + 1)
    for steps_down in range(height):
        by_distance[:, steps_down : steps_down + width] += by_steps[:, steps_down]
    return by_distance


def _columns_apart(width: int) -> Tensor:
    """(W * W, W): row (x, x') is 1 at |x - x'|."""
    column = torch.arange(width)
    return functional.one_hot((column[:, None] - column).abs().flatten(), width)
