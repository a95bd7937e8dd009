"""Squared MMD with a Gaussian kernel on features of length 1: CMMD, where they are CLIP's (Jayasumana et al. 2024).

The kernel is exp(-|x - y|² / 2σ²) with σ = 10, so it lies in [0.98, 1]: sums are of its distance from 1, in float64.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, check_features, check_width, unit_length
from genbench.metrics.jackknife import jackknife_stderr
from genbench.metrics.kernel import Block, row_sums_across, row_sums_among

_SCALE = 1000


class RbfDistance(NamedTuple):
    """Biased squared MMD, times 1,000."""

    value: float
    """Not negative. Its bias falls as 1/n: compare equal n only."""
    stderr: float | None
    """Delete-one jackknife over the generated images; None for fewer than 3."""


def rbf_distance(generated: Features, reference: Features, *, sigma: float = 10.0, device: str = "cpu") -> RbfDistance:
    """Biased squared MMD times 1,000 of features (N, d) and (M, d), each row brought to length 1.

    Raises `FeatureError` for features that are too few, not finite, all zero or of different widths.
    """
    check_features(generated, "generated features")
    check_features(reference, "reference features")
    check_width(generated.shape[1], reference.shape[1])
    x, y = unit_length(generated, "generated features"), unit_length(reference, "reference features")
    n, m = len(x), len(y)

    def kernel_less_one(a: Tensor, b: Tensor) -> Block:
        return lambda rows, columns: (a[rows] @ b[columns].T).sub_(1).div_(sigma**2).expm1_()

    on_x, on_y = torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)
    among = row_sums_among(n, kernel_less_one(on_x, on_x), device=device)
    across = row_sums_across(n, m, kernel_less_one(on_x, on_y), device=device)
    reference_term = float(row_sums_among(m, kernel_less_one(on_y, on_y), device=device).sum()) / m**2
    value = float(among.sum()) / n**2 + reference_term - 2 * float(across.sum()) / (n * m)
    stderr = None
    if n > 2:
        within = (among.sum() - 2 * among) / (n - 1) ** 2
        stderr = jackknife_stderr(_SCALE * (within - 2 * (across.sum() - across) / ((n - 1) * m)))
    return RbfDistance(_SCALE * max(value, 0.0), stderr)


def measure_mmd_rbf(comparison: Comparison) -> Measurement:
    """The `mmd-rbf` statistic."""
    reference = comparison.reference_features
    distance = rbf_distance(comparison.features, reference, device=comparison.device)
    return Measurement(distance.value, distance.stderr, len(comparison.features), len(reference))
