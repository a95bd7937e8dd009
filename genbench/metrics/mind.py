"""MIND, the Monge Inception Distance (Berthet et al. 2026): sliced squared 2-Wasserstein distance, times 3d."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, check_features, check_width

_STRIP = 125
"""Directions at a time: two arrays of N by 125 are sorted."""


def monge_distance(
    generated: Features, reference: Features, *, directions: int = 1000, seed: int = 2020, device: str = "cpu"
) -> float:
    """MIND of features (N, d) and (M, d), in float32 as torch-fidelity computes it.

    Of the larger set a random subset as large as the smaller is taken, then random unit directions, both from one CPU
    generator. Raises `FeatureError` for features that are too few, not finite or of different widths.
    """
    check_features(generated, "generated features")
    check_features(reference, "reference features")
    check_width(generated.shape[1], reference.shape[1])
    generator = torch.Generator().manual_seed(seed)
    n, d = min(len(generated), len(reference)), generated.shape[1]
    x, y = (_subset(side, n, generator).to(device) for side in (generated, reference))
    drawn = torch.randn(directions, d, generator=generator)
    unit = (drawn / drawn.norm(dim=1, keepdim=True)).to(device)
    squares = [
        ((x @ strip.T).sort(dim=0).values - (y @ strip.T).sort(dim=0).values).square().mean(dim=0)
        for strip in unit.split(_STRIP)
    ]
    return float(3 * d * torch.cat(squares).mean())


def _subset(features: Features, n: int, generator: torch.Generator) -> Tensor:
    points = torch.from_numpy(features.astype(np.float32))
    return points if len(points) == n else points[torch.randperm(len(points), generator=generator)[:n]]


def measure_mind(comparison: Comparison) -> Measurement:
    """The `mind` statistic; both numbers of images are that of the smaller side, since no more of either take part."""
    reference = comparison.reference_features
    value = monge_distance(comparison.features, reference, device=comparison.device)
    n = min(len(comparison.features), len(reference))
    return Measurement(value, None, n, n)
