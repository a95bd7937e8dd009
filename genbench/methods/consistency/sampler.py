"""Samplers of consistency models and of what they are distilled from (Song et al., arXiv:2303.01469)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from genbench.methods.adm.network import ADMUNet
from genbench.methods.adm.sampler import ADMSampler
from genbench.methods.consistency.settings import ConsistencySettings, places_in_grid
from genbench.methods.karras import Denoise, ancestral, euler, heun, midpoint, noise_levels, to_zero
from genbench.methods.noise import Noise
from genbench.methods.preconditioning import Scalings, boundary_scalings, edm_scalings
from genbench.methods.solvers import Solution


def network_time(sigma: Tensor) -> Tensor:
    """The time that the network is told for noise levels (N,): 250·ln σ, finite also for σ = 0."""
    return 250 * torch.log(sigma + 1e-44)


def refine(denoise: Denoise, x: Tensor, levels: Tensor, noise: Noise, sigma_min: float) -> Solution:
    """Algorithm 1: the data from x at the first of `levels` (K,); noise up to each next one, and again."""
    for index, sigma in enumerate(levels.tolist()):
        if index:
            x = x + math.sqrt(sigma**2 - sigma_min**2) * noise.normal(x.shape[1:]).to(x)
        x = denoise(x, x.new_full((len(x),), sigma))
    return Solution(x, len(levels))


class ConsistencySampler(ADMSampler[ADMUNet, ConsistencySettings]):
    """The U-Net with one preset. See `ConsistencySettings` for what each setting means."""

    name = "consistency model"
    module = ADMUNet

    def scalings(self, sigma: Tensor) -> Scalings:
        """What surrounds the network at noise levels (N,)."""
        if self.settings.parametrisation == "edm":
            return edm_scalings(sigma)
        return boundary_scalings(sigma, self.settings.sigma_min)

    def denoised(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """The data from x (N, 3, H, W) at noise levels (N,), not clipped."""
        return self.scalings(sigma).denoised(x, lambda inner: self.evaluate(inner, network_time(sigma), labels))

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """By the preset's sampler, from noise at `sigma_max`."""
        clip = self.settings.clip

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            data = self.denoised(x, sigma, labels)
            return data.clamp(-1, 1) if clip else data

        start = self.settings.sigma_max * noise.normal(self.shape)
        solution = self._descend(denoise, start, noise)
        return Solution(solution.x.clamp(-1, 1), solution.evaluations)

    def _descend(self, denoise: Denoise, x: Tensor, noise: Noise) -> Solution:
        s = self.settings
        if s.sampler in ("onestep", "multistep"):
            places = (0,) if s.ts is None else places_in_grid(s.ts, s.steps)[:-1]
            return refine(denoise, x, noise_levels(s.steps, s)[list(places)], noise, s.sigma_min)
        if s.sampler == "progdist":
            return euler(denoise, x, noise_levels(s.steps + 1, s, torch.float32))
        levels = to_zero(noise_levels(s.steps, s, torch.float32))
        if s.sampler == "euler":
            return euler(denoise, x, levels)
        if s.sampler == "ancestral":
            return ancestral(denoise, x, levels, noise)
        second_order = heun if s.sampler == "heun" else midpoint
        return second_order(denoise, x, levels, noise, s)
