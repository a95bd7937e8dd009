"""Noise levels and samplers of Karras et al. (EDM, arXiv:2206.00364): x = data + σ·noise.

A denoiser D estimates the data from x and σ; samplers follow dx/dσ = (x - D(x, σ)) / σ down the noise levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from genbench.methods.noise import Noise
from genbench.methods.settings import ChurnSettings, KarrasSettings
from genbench.methods.solvers import Solution

Denoise = Callable[[Tensor, Tensor], Tensor]
"""x (N, C, H, W) and its noise levels (N,), in the dtype of the sampler's state => the data (N, C, H, W)."""

_MOST_GROWTH = math.sqrt(2) - 1
"""Of a noise level before one step."""


def noise_levels(count: int, settings: KarrasSettings, dtype: torch.dtype = torch.float64) -> Tensor:
    """Equation 5: σ_i = (σ_max^(1/ρ) + i/(count - 1)·(σ_min^(1/ρ) - σ_max^(1/ρ)))^ρ, (count,).

    Computed in `dtype`: the rounding of a level is amplified by slopes at small σ.
    """
    first, last = settings.sigma_max ** (1 / settings.rho), settings.sigma_min ** (1 / settings.rho)
    return torch.pow(first + torch.linspace(0, 1, count, dtype=dtype) * (last - first), settings.rho)


def to_zero(levels: Tensor) -> Tensor:
    """The levels (K,) and a last one without noise, (K + 1,)."""
    return torch.cat([levels, levels.new_zeros(1)])


def slope(denoise: Denoise, x: Tensor, sigma: float) -> Tensor:
    """dx/dσ at one noise level for all images."""
    return (x - denoise(x, x.new_full((len(x),), sigma))) / sigma


def euler(denoise: Denoise, x: Tensor, levels: Tensor) -> Solution:
    """One evaluation for each two neighbours of `levels` (K,)."""
    for sigma, after in pairwise(levels.tolist()):
        x = x + (after - sigma) * slope(denoise, x, sigma)
    return Solution(x, len(levels) - 1)


def heun(denoise: Denoise, x: Tensor, levels: Tensor, noise: Noise, churn: ChurnSettings) -> Solution:
    """Algorithm 2 over `levels` (K,): two evaluations a step, and one for the step to level 0."""
    evaluations = 0
    for sigma, after in pairwise(levels.tolist()):
        x, start = _churned(x, sigma, len(levels) - 1, noise, churn)
        step = slope(denoise, x, start)
        if after > 0:
            step = (step + slope(denoise, x + (after - start) * step, after)) / 2
        evaluations += 2 if after > 0 else 1
        x = x + (after - start) * step
    return Solution(x, evaluations)


def heun_from_noise(
    denoise: Denoise, noise: Noise, shape: tuple[int, int, int], steps: int, settings: ChurnSettings
) -> Solution:
    """Algorithm 2 from noise (N, *shape) of the first of `steps` levels to level 0: float32, of a float64 state."""
    x = noise.normal(shape).double() * settings.sigma_max
    solution = heun(denoise, x, to_zero(noise_levels(steps, settings)), noise, settings)
    return solution._replace(x=solution.x.float())


def midpoint(denoise: Denoise, x: Tensor, levels: Tensor, noise: Noise, churn: ChurnSettings) -> Solution:
    """Two evaluations a step, the second half way in σ^(1/3): k-diffusion's DPM-2, with algorithm 2's noise."""
    for sigma, after in pairwise(levels.tolist()):
        x, start = _churned(x, sigma, len(levels) - 1, noise, churn)
        middle = ((start ** (1 / 3) + after ** (1 / 3)) / 2) ** 3
        between = x + (middle - start) * slope(denoise, x, start)
        x = x + (after - start) * slope(denoise, between, middle)
    return Solution(x, 2 * (len(levels) - 1))


def ancestral(denoise: Denoise, x: Tensor, levels: Tensor, noise: Noise) -> Solution:
    """Euler's step to a lower level than the next, and noise up to it: k-diffusion's Euler ancestral."""
    for sigma, after in pairwise(levels.tolist()):
        up = math.sqrt(after**2 * (sigma**2 - after**2) / sigma**2)
        down = math.sqrt(after**2 - up**2)
        x = x + (down - sigma) * slope(denoise, x, sigma)
        if after > 0:
            x = x + up * noise.normal(x.shape[1:]).to(x)
    return Solution(x, len(levels) - 1)


def _churned(x: Tensor, sigma: float, steps: int, noise: Noise, churn: ChurnSettings) -> tuple[Tensor, float]:
    """x with noise added before one of `steps` steps, and its level then.

    With churn, noise is drawn at every step, as the authors do, also where none is added.
    """
    if churn.s_churn == 0:
        return x, sigma
    draw = noise.normal(x.shape[1:]).to(x)
    if not churn.s_min <= sigma <= (math.inf if churn.s_max is None else churn.s_max):
        return x, sigma
    raised = sigma * (1 + min(churn.s_churn / steps, _MOST_GROWTH))
    return x + math.sqrt(raised**2 - sigma**2) * churn.s_noise * draw, raised
