"""Paths x_t = α_t·data + σ_t·noise, and what velocity, score and noise say of one another on them.

Ma et al., "SiT" (arXiv:2401.08740), sections 2 and 3, with time running from noise (0) to data (1) as in their code.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

_BETA_MIN, _BETA_MAX = 0.1, 20.0
"""Ends of the variance-preserving SDE's linear β (Song et al., arXiv:2011.13456, appendix C)."""


class Interpolant(NamedTuple):
    """A path at one time, or at times that broadcast against the images."""

    alpha: Tensor
    sigma: Tensor
    d_alpha: Tensor
    """Derivative of alpha by t."""
    d_sigma: Tensor

    def score_of_velocity(self, velocity: Tensor, x: Tensor) -> Tensor:
        """∇ log p_t(x) = (r·v - x) / (σ² - r·σ'·σ), r = α/α'."""
        ratio = self.alpha / self.d_alpha
        return (ratio * velocity - x) / (self.sigma**2 - ratio * self.d_sigma * self.sigma)

    def velocity_of_score(self, score: Tensor, x: Tensor) -> Tensor:
        """v = α'/α·x + λ·score."""
        return self.d_alpha / self.alpha * x + self.diffusion * score

    @property
    def diffusion(self) -> Tensor:
        """λ = α'/α·σ² - σ·σ': half the squared diffusion of the SDE whose marginals the path has."""
        return self.d_alpha / self.alpha * self.sigma**2 - self.sigma * self.d_sigma


def linear(t: Tensor) -> Interpolant:
    """α = t, σ = 1 - t."""
    one = torch.ones_like(t)
    return Interpolant(t, 1 - t, one, -one)


def gvp(t: Tensor) -> Interpolant:
    """The generalised variance-preserving path: α = sin(πt/2), σ = cos(πt/2)."""
    quarter = math.pi / 2
    sine, cosine = torch.sin(t * quarter), torch.cos(t * quarter)
    return Interpolant(sine, cosine, quarter * cosine, -quarter * sine)


def vp(t: Tensor) -> Interpolant:
    """The variance-preserving diffusion: log α = -(1-t)²·(β_max - β_min)/4 - (1-t)·β_min/2, σ² = 1 - α²."""
    back, span = 1 - t, _BETA_MAX - _BETA_MIN
    log_alpha = -0.25 * back**2 * span - 0.5 * back * _BETA_MIN
    d_log_alpha = 0.5 * back * span + 0.5 * _BETA_MIN
    alpha, square = torch.exp(log_alpha), torch.exp(2 * log_alpha)
    sigma = torch.sqrt(1 - square)
    return Interpolant(alpha, sigma, alpha * d_log_alpha, -square * d_log_alpha / sigma)


PATHS: dict[str, Callable[[Tensor], Interpolant]] = {"linear": linear, "gvp": gvp, "vp": vp}
