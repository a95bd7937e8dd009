"""Gaussian diffusion on a subset of its training steps: the schedule of DDPM's and DDIM's updates.

Ho et al., "Denoising Diffusion Probabilistic Models" (arXiv:2006.11239); respacing and learned-range variance after
Nichol & Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (arXiv:2102.09672).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from genbench.methods.respacing import TRAINING_STEPS, Spacing, retained_steps


class Schedule(NamedTuple):
    """Constants of the N retained steps, ascending in noise: float64 (N,), indices int64."""

    timestep_map: Tensor
    """The training step that each retained step is; what the network is told."""
    betas: Tensor
    alphas_cumprod: Tensor
    """ᾱ, as in training at the retained steps."""
    posterior_log_variance_clipped: Tensor
    """log β̃ of q(x_{t-1} | x_t, x_0); at step 0, where β̃ is zero, that of step 1."""
    posterior_mean_coef1: Tensor
    """Weight of x_0 in the mean of q(x_{t-1} | x_t, x_0)."""
    posterior_mean_coef2: Tensor
    """Weight of x_t in it."""

    @property
    def previous(self) -> Tensor:
        """ᾱ one retained step towards the data, 1 at the last."""
        return _previous(self.alphas_cumprod)


def schedule(steps: int, spacing: Spacing) -> Schedule:
    """The schedule of `steps` retained steps (2 or more): β_i = 1 - ᾱ_i / ᾱ_{i-1} over those that remain.

    In training β rises linearly from 1e-4 to 0.02 (DDPM, section 4). Raises `ValueError` as `retained_steps` does.
    """
    kept = torch.tensor(retained_steps(steps, spacing))
    trained = (1 - torch.linspace(1e-4, 0.02, TRAINING_STEPS, dtype=torch.float64)).cumprod(0)[kept]
    betas = 1 - trained / _previous(trained)
    alphas = 1 - betas
    cumulative = alphas.cumprod(0)
    previous = _previous(cumulative)
    variance = betas * (1 - previous) / (1 - cumulative)
    return Schedule(
        timestep_map=kept,
        betas=betas,
        alphas_cumprod=cumulative,
        posterior_log_variance_clipped=torch.cat([variance[1:2], variance[1:]]).log(),
        posterior_mean_coef1=betas * previous.sqrt() / (1 - cumulative),
        posterior_mean_coef2=(1 - previous) * alphas.sqrt() / (1 - cumulative),
    )


def _previous(cumulative: Tensor) -> Tensor:
    return torch.cat([torch.ones(1, dtype=cumulative.dtype), cumulative[:-1]])
