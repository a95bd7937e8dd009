"""Precision and recall (k = 3) with squared distances in float16, as the ADM evaluator computes them on a GPU.

Near d² = 300 a float16 is 0.25 from the next. Distances tie, a tie is inside, and both shares come out higher. The
published numbers of ADM-G on ImageNet are above those of a float32 port by 0.001 and 0.0024, which this is taken to
explain. For other comparisons take `precision`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.errors import FeatureError
from genbench.metrics.balls import IMPROVED
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features, check_features, check_width
from genbench.metrics.neighbours import Bools
from genbench.metrics.precision_recall import proportion_stderr

_BLOCK_BYTES = 32 * 2**20


class HalfPrecisionInside(NamedTuple):
    """Which points lie in a ball of the other set, by distances in float16."""

    generated_inside: Bools
    """(N,); its mean is precision."""
    reference_inside: Bools
    """(M,); its mean is recall."""


def half_precision_inside(
    generated: Features, reference: Features, *, k: int = IMPROVED.k, device: str = "cpu"
) -> HalfPrecisionInside:
    """Compare features (N, d) with (M, d); every product, norm and sum is rounded to float16.

    A radius is entry k of a point's sorted distances, its distance to itself, which is rounding, being one of them.
    A block of rows with a distance beyond float16 is computed in float32, as ADM does for blocks of 10,000 × 10,000.
    Raises `FeatureError` for features that are not finite, of different widths, or no more than k a side.
    """
    for features, what in ((generated, "generated features"), (reference, "reference features")):
        check_features(features, what, at_least=1)
        if len(features) <= k:
            raise FeatureError(
                f"{what}: {len(features)} image(s) have no neighbour number {k}", hint=f"give {k + 1} or more"
            )
    check_width(generated.shape[1], reference.shape[1])
    x, y = (torch.from_numpy(side.astype(np.float32)).to(device) for side in (generated, reference))
    x_radii, y_radii = _radii(x, k), _radii(y, k)
    generated_inside = torch.zeros(len(x), dtype=torch.bool, device=device)
    reference_inside = torch.zeros(len(y), dtype=torch.bool, device=device)
    # Rows are the reference's, as in ADM: which side's norm is added first decides how a distance is rounded.
    for rows, distances in _distances(y, x):
        reference_inside[rows] = (distances <= x_radii).any(dim=1)
        generated_inside |= (distances <= y_radii[rows, None]).any(dim=0)
    return HalfPrecisionInside(generated_inside.cpu().numpy(), reference_inside.cpu().numpy())


def _radii(points: Tensor, k: int) -> Tensor:
    radii = torch.empty(len(points), device=points.device)
    for rows, distances in _distances(points, points):
        radii[rows] = distances.topk(k + 1, dim=1, largest=False).values[:, -1]
    return radii


def _distances(x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of rows, and their squared distances as float32 that hold float16 values."""
    y_half = y.half()
    for start in range(0, len(x), size := max(_BLOCK_BYTES // (4 * len(y)), 1)):
        rows = slice(start, start + size)
        found = _rounded_distances(x[rows].half(), y_half).float()
        if not bool(found.isfinite().all()):
            found = _rounded_distances(x[rows], y)
        yield rows, found


def _rounded_distances(x: Tensor, y: Tensor) -> Tensor:
    """(|x|² - 2x·y) + |y|² in the type of x; sums over features are kept in float32 and rounded once, as GPUs do."""
    norms = [side.square().float().sum(dim=1).to(x.dtype) for side in (x, y)]
    products = (x.float() @ y.float().T).to(x.dtype)
    return products.mul_(-2).add_(norms[0][:, None]).add_(norms[1]).clamp_(min=0)


def measure_precision_adm(comparison: Comparison) -> Measurement:
    """The `precision-adm` statistic."""
    inside = _inside(comparison).generated_inside
    m = len(comparison.reference_features)
    return Measurement(float(inside.mean()), proportion_stderr(inside), len(inside), m)


def measure_recall_adm(comparison: Comparison) -> Measurement:
    """The `recall-adm` statistic."""
    inside = _inside(comparison).reference_inside
    return Measurement(float(inside.mean()), None, len(comparison.features), len(inside))


def _inside(comparison: Comparison) -> HalfPrecisionInside:
    return half_precision_inside(comparison.features, comparison.reference_features, device=comparison.device)
