"""Batch normalisation of a trained network, folded into the convolution before it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Folded(NamedTuple):
    """A convolution that includes its batch normalisation."""

    weight: Tensor
    """(out, in / groups, height, width) float32."""
    bias: Tensor
    """(out,) float32."""


def fold(weight: Tensor, *, gamma: Tensor | None, beta: Tensor, mean: Tensor, variance: Tensor, eps: float) -> Folded:
    """gamma · (conv(x) - mean) / sqrt(variance + eps) + beta as one convolution; computed in float64, once.

    `gamma` is None for a normalisation without scale, as TensorFlow's slim networks have.
    """
    scale = (variance.double() + eps).rsqrt()
    if gamma is not None:
        scale = gamma.double() * scale
    return Folded(
        weight=(weight.double() * scale.view(-1, 1, 1, 1)).float(),
        bias=(beta.double() - mean.double() * scale).float(),
    )
