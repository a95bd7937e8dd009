"""Principal components and k-means, seeded, for statistics that cut a feature space into cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.inputs import Features, Float64
from genbench.metrics.neighbours import Indices

_SEED = 2020
_STARTS = 10
_STEPS = 300


def principal_components(points: Features, components: int) -> Callable[[Features], Float64]:
    """The map of (N, d) features to (N, c): onto the first c = min(components, d) principal components of `points`."""
    mean = points.mean(axis=0, dtype=np.float64)
    centred = torch.from_numpy(points - mean)
    vectors = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :components].numpy()

    def project(features: Features) -> Float64:
        projected: Float64 = (features - mean) @ vectors
        return projected

    return project


def nearest_centres(points: Float64, k: int) -> Callable[[Float64], Indices]:
    """The map of (N, d) points to the cell of each, (N,), of k: k-means of `points` (M, d), M >= k.

    The best of ten runs of Lloyd's algorithm from k-means++ starts (Arthur & Vassilvitskii 2007), seeded.
    """
    rng = np.random.RandomState(_SEED)  # the legacy generator's stream is frozen
    tensor = torch.from_numpy(points)
    runs = [_lloyd(tensor, _spread_centres(points, k, rng)) for _ in range(_STARTS)]
    centres = min(runs, key=lambda run: run[1])[0]

    def cells(of: Float64) -> Indices:
        found: Indices = torch.cdist(torch.from_numpy(of), centres).argmin(dim=1).numpy()
        return found

    return cells


def _spread_centres(points: Float64, k: int, rng: np.random.RandomState) -> Tensor:
    chosen = [int(rng.randint(len(points)))]
    squares = np.full(len(points), np.inf)
    while len(chosen) < k:
        squares = np.minimum(squares, np.square(points - points[chosen[-1]]).sum(axis=1))
        # Where every point is a centre already, any will do.
        weights = squares / squares.sum() if squares.any() else None
        chosen.append(int(rng.choice(len(points), p=weights)))
    return torch.from_numpy(points[chosen])


def _lloyd(points: Tensor, centres: Tensor) -> tuple[Tensor, float]:
    """Centres (k, d) at which the algorithm comes to rest, and the sum of squared distances to them."""
    cells = torch.full((len(points),), -1)
    for _ in range(_STEPS):
        distances, now = torch.cdist(points, centres).min(dim=1)
        if torch.equal(now, cells):
            break
        cells = now
        sums = torch.zeros_like(centres).index_add_(0, cells, points)
        counts = torch.bincount(cells, minlength=len(centres))[:, None]
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return centres, float(distances.square().sum())
