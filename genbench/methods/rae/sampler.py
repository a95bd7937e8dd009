"""RAE's sampler: an ODE on the linear path, t = 1 noise, t = 0 data, along a shifted grid that ends before 0."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.methods.autoguidance import ContrastSampler
from genbench.methods.noise import Noise
from genbench.methods.rae.network import DiTDH
from genbench.methods.rae.settings import RAESettings
from genbench.methods.solvers import Solution, fixed_step
from genbench.methods.timeshift import shifted


class RAESampler(ContrastSampler[DiTDH, RAESettings]):
    """The transformer, and its guide if it has one, with one preset. See `RAESettings` for what each setting means.

    Raises `UsageError` for autoguidance of a network without a guide.
    """

    name = "DiT^DH"
    module = DiTDH

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Along the shifted grid."""
        s = self.settings
        x = noise.normal(self.shape)
        grid = shifted(1 - torch.linspace(0, 1 - s.end, s.steps, device=x.device), s.shift)
        return fixed_step(self._guided, x, labels, grid, s.integrator)

    def _guided(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        s = self.settings
        if not len(t) or not s.t_min <= t[0] <= s.t_max:
            return self.evaluate(x, t, labels)
        return self.contrasted(x, t, labels)
