"""Norms of transformer tokens, by the width they are for."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-6


class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean x² + ε), times a weight a channel (Zhang & Sennrich, arXiv:1910.07467).

    Normalised in float32, also under autocast, where half-precision squares would lose the norm.
    """

    def __init__(self, width: int, epsilon: float = EPSILON) -> None:
        super().__init__(width, eps=epsilon)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) => (..., width)."""
        return functional.rms_norm(x.float(), self.normalized_shape, eps=self.eps).to(x.dtype) * self.weight


def layer_norm(width: int, epsilon: float = EPSILON) -> nn.LayerNorm:
    """Layer norm without weights, which adaptive shift and scale replace."""
    return nn.LayerNorm(width, elementwise_affine=False, eps=epsilon)
