"""From a network to an estimate of the data: D(x, σ) = skip(σ)·x + out(σ)·F(inner(σ)·x).

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (arXiv:2206.00364), table 1; Song et
al., "Consistency Models" (arXiv:2303.01469), appendix C. x = data + σ·noise, and images in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

SIGMA_DATA = 0.5
"""Standard deviation of the data that all these networks assume."""


class Scalings(NamedTuple):
    """The three factors at noise levels (N,), each (N,)."""

    skip: Tensor
    out: Tensor
    inner: Tensor

    def denoised(self, x: Tensor, network: Callable[[Tensor], Tensor]) -> Tensor:
        """D of images x (N, C, H, W) from the network F: float32 (N, C, H, W)."""
        skip, out, inner = (factor.view(-1, 1, 1, 1) for factor in self)
        return skip * x + out * network(inner * x).float()


def edm_scalings(sigma: Tensor) -> Scalings:
    """EDM's: the inputs and the targets of the network have unit variance."""
    total = sigma**2 + SIGMA_DATA**2
    return Scalings(SIGMA_DATA**2 / total, sigma * SIGMA_DATA / total.sqrt(), 1 / total.sqrt())


def boundary_scalings(sigma: Tensor, sigma_min: float) -> Scalings:
    """Those of consistency models, for which D(x, sigma_min) = x."""
    above = sigma - sigma_min
    total = (sigma**2 + SIGMA_DATA**2).sqrt()
    return Scalings(SIGMA_DATA**2 / (above**2 + SIGMA_DATA**2), above * SIGMA_DATA / total, 1 / total)
