"""Adams-Bashforth steps on an uneven grid."""

from __future__ import annotations

import torch
from torch import Tensor


def adams_weights(grid: Tensor, order: int) -> Tensor:
    """Weights (K - 1, order) of the latest slopes in each step of `grid` (K,), the oldest first; a row sums to one.

    They integrate the polynomial through the slopes at the step's start and before (Hairer, Nørsett & Wanner, III.5),
    in units of the step. The first steps have fewer slopes, and zeros before them.
    """
    times = grid.double().cpu()
    weights = torch.zeros(len(times) - 1, order, dtype=torch.float64)
    for step in range(len(weights)):
        known = times[max(0, step + 1 - order) : step + 1]
        powers = torch.arange(len(known), dtype=torch.float64)
        nodes = (known - times[step]) / (times[step + 1] - times[step])
        weights[step, order - len(known) :] = torch.linalg.solve(nodes[None] ** powers[:, None], 1 / (powers + 1))
    return weights
