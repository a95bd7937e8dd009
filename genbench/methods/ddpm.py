"""Gaussian diffusion on a subset of its training steps: the schedule of DDPM's and DDIM's updates.

Ho et al., "Denoising Diffusion Probabilistic Models" (arXiv:2006.11239); respacing and learned-range variance after
Nichol & Dhariwal, "Improved Denoising Diffusion Probabilistic Models" (arXiv:2102.09672).
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from genbench.methods.respacing import TRAINING_STEPS, Spacing, retained_steps, shifted_steps


class Schedule(NamedTuple):
    """Constants of the N retained steps, ascending in noise: float64 (N,), indices int64."""

    timestep_map: Tensor
    """The training step that each retained step is; what the network is told."""
    betas: Tensor
    alphas_cumprod: Tensor
    """ᾱ, as in training at the retained steps."""
    previous: Tensor
    """ᾱ one retained step towards the data; at step 0 that of where sampling ends, 1 for the data."""
    posterior_log_variance_clipped: Tensor
    """log β̃ of q(x_{t-1} | x_t, x_0); at step 0, where β̃ is zero, that of step 1."""
    posterior_mean_coef1: Tensor
    """Weight of x_0 in the mean of q(x_{t-1} | x_t, x_0)."""
    posterior_mean_coef2: Tensor
    """Weight of x_t in it."""

    def data(self, x: Tensor, epsilon: Tensor, i: int) -> Tensor:
        """The estimate of x_0 from one of the noise in x_i."""
        cumulative = float(self.alphas_cumprod[i])
        return math.sqrt(1 / cumulative) * x - math.sqrt(1 / cumulative - 1) * epsilon

    def ancestral(self, x: Tensor, data: Tensor, share: Tensor, i: int) -> tuple[Tensor, Tensor | None]:
        """Mean and standard deviation of x_{i-1}, none at the last step; of x_i, an estimate of x_0, and a `share` in
        [-1, 1] by which the learned variance lies, in logarithms, between β̃ and β.
        """
        mean = float(self.posterior_mean_coef1[i]) * data + float(self.posterior_mean_coef2[i]) * x
        if i == 0:
            return mean, None
        low, high = float(self.posterior_log_variance_clipped[i]), float(self.betas[i].log())
        share = (share + 1) / 2
        return mean, (0.5 * (share * high + (1 - share) * low)).exp()

    def implicit(self, x: Tensor, data: Tensor, i: int, eta: float) -> tuple[Tensor, float | None]:
        """Mean and standard deviation of x_{i-1}, none where that is zero; of x_i and an estimate of x_0, by DDIM's
        update with noise of size `eta` (Song et al., arXiv:2010.02502, equation 12).
        """
        now, before = float(self.alphas_cumprod[i]), float(self.previous[i])
        epsilon = (math.sqrt(1 / now) * x - data) / math.sqrt(1 / now - 1)
        sigma = eta * math.sqrt((1 - before) / (1 - now) * (1 - now / before))
        return math.sqrt(before) * data + math.sqrt(1 - before - sigma**2) * epsilon, sigma or None


def schedule(steps: int, spacing: Spacing, betas: Literal["linear", "cosine"] = "linear") -> Schedule:
    """The schedule of `steps` retained steps (2 or more): β_i = 1 - ᾱ_i / ᾱ_{i-1} over those that remain.

    In training β rises linearly from 1e-4 to 0.02 (DDPM, section 4), or is that of ᾱ(t) = cos²((t + 0.008)/1.008·π/2),
    at most 0.999 (Nichol & Dhariwal, section 3.2). Raises `ValueError` as `retained_steps` does.
    """
    trained = (1 - (_cosine() if betas == "cosine" else _linear())).cumprod(0)
    return _respaced(torch.tensor(retained_steps(steps, spacing)), trained, end=1.0)


def shifted_schedule(steps: int, linear_start: float, linear_end: float) -> Schedule:
    """The schedule of latent diffusion's DDIM (Rombach et al., arXiv:2112.10752): of the steps 1, 1 + k, 1 + 2k, …, the
    first of which leads to the training step 0 and not to the data.

    In training √β rises linearly from that of `linear_start` to that of `linear_end`. Raises `ValueError` as
    `shifted_steps` does.
    """
    roots = torch.linspace(math.sqrt(linear_start), math.sqrt(linear_end), TRAINING_STEPS, dtype=torch.float64)
    trained = (1 - roots.square()).cumprod(0)
    return _respaced(torch.tensor(shifted_steps(steps)), trained, end=float(trained[0]))


def _respaced(kept: Tensor, trained: Tensor, end: float) -> Schedule:
    """Of the `kept` steps, of the ᾱ in training of all of them, and of that where sampling ends."""
    kept_betas = 1 - trained[kept] / _previous(trained[kept], end)
    alphas = 1 - kept_betas
    cumulative = end * alphas.cumprod(0)
    previous = _previous(cumulative, end)
    variance = kept_betas * (1 - previous) / (1 - cumulative)
    return Schedule(
        timestep_map=kept,
        betas=kept_betas,
        alphas_cumprod=cumulative,
        previous=previous,
        posterior_log_variance_clipped=torch.cat([variance[1:2], variance[1:]]).log(),
        posterior_mean_coef1=kept_betas * previous.sqrt() / (1 - cumulative),
        posterior_mean_coef2=(1 - previous) * alphas.sqrt() / (1 - cumulative),
    )


def _linear() -> Tensor:
    return torch.linspace(1e-4, 0.02, TRAINING_STEPS, dtype=torch.float64)


def _cosine() -> Tensor:
    t = torch.arange(TRAINING_STEPS + 1, dtype=torch.float64) / TRAINING_STEPS
    cumulative = ((t + 0.008) / 1.008 * math.pi / 2).cos().square()
    return (1 - cumulative[1:] / cumulative[:-1]).clamp(max=0.999)


def _previous(cumulative: Tensor, end: float) -> Tensor:
    return torch.cat([cumulative.new_tensor([end]), cumulative[:-1]])
