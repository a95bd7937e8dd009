"""g(d), the correlogram of an image: the mean cosine similarity of two of its tokens at Manhattan distance d.

LDS, CDS and RMSC² are linear in it (see `genbench.metrics.spatial.structure`), so the 31 numbers of a 16x16 grid are
all that has to be kept of its 65,536 cosines.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from genbench.tokens.arrays import blocks, check_tokens, unit
from genbench.tokens.grid import Grid


def correlograms(tokens: Tensor, grid: Grid | None = None) -> Tensor:
    """g(0), g(1), …, g(H + W - 2) of each image: tokens (N, T, D) => float64 (N, H + W - 1), on the same device.

    g(0) is 1, less where tokens are zero. Without `grid` the tokens lie on the square one. Cosines are made for one row
    of the grid against the rows below it and for a block of images at a time; the T x T matrix of all never exists.
    An image with a token that is not finite has NaN.

    Raises `FeatureError` for tokens that are no such array or fill no grid.
    """
    grid = check_tokens(tokens, grid)
    sums = torch.cat([_sums_by_distance(unit(block), grid) for block in blocks(tokens, grid)])
    return sums / torch.from_numpy(grid.pairs).to(sums)


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
