"""ECT's sampler: one evaluation at the largest noise level, and more after noise is added again."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.methods.consistency.sampler import refine
from genbench.methods.ect.network import ECTDenoiser
from genbench.methods.ect.settings import ECTSettings
from genbench.methods.edm.sampler import DenoiserSampler
from genbench.methods.noise import Noise
from genbench.methods.solvers import Solution


class ECTSampler(DenoiserSampler[ECTSettings]):
    """A consistency model with one preset. See `ECTSettings` for what each setting means."""

    name = "ECT"
    module = ECTDenoiser

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """In float64; unlike OpenAI's sampler the noise added at level t is t·z, which leaves no noise of sigma_min."""
        levels = torch.tensor(self.settings.levels, dtype=torch.float64)
        x = noise.normal(self.shape).double() * self.settings.t_max
        solution = refine(self.denoiser(labels), x, levels, noise, sigma_min=0.0)
        return solution._replace(x=solution.x.float())
