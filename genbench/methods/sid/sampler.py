"""SiD's sampler: EDM's denoiser is the generator, evaluated once on noise of one level.

Zhou et al., "Score identity Distillation" (arXiv:2404.04057); DMD2's ImageNet models are sampled alike.
"""

from __future__ import annotations

from torch import Tensor

from genbench.methods.edm.sampler import DenoiserSampler
from genbench.methods.noise import Noise
from genbench.methods.sid.settings import SiDSettings
from genbench.methods.solvers import Solution


class SiDSampler(DenoiserSampler[SiDSettings]):
    """A generator with one preset. See `SiDSettings`."""

    name = "SiD"

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """D(σ·z, σ)."""
        sigma = self.settings.sigma
        x = noise.normal(self.shape).double() * sigma
        return Solution(self.denoiser(labels)(x, x.new_full((len(x),), sigma)).float(), 1)
