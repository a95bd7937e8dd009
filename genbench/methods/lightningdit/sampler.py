"""LightningDiT's sampler: an ODE on the linear path, t = 0 noise, t = 1 data, along a shifted grid."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.lightningdit.network import LightningDiT
from genbench.methods.lightningdit.settings import LightningDiTSettings
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution, fixed_step
from genbench.methods.timeshift import shifted


class LightningDiTSampler(NetworkSampler[LightningDiT, LightningDiTSettings]):
    """The transformer with one preset. See `LightningDiTSettings` for what each setting means."""

    name = "LightningDiT"
    module = LightningDiT

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Along the shifted grid."""
        s = self.settings
        x = noise.normal(self.shape)
        grid = shifted(torch.linspace(0, 1, s.steps, device=x.device), s.shift)
        return fixed_step(self._guided, x, labels, grid, s.integrator)

    def _guided(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Guided velocity from `cfg_start` on, on the first channels; the conditional one before, and of the rest."""
        s = self.settings
        if s.cfg == 1 or not len(t) or t[0] < s.cfg_start:
            return self.evaluate(x, t, labels)
        conditional, null = predictions(self.evaluate, x, t, labels, self.network.num_classes)
        return guide(conditional, null, s.cfg, s.cfg_channels, rest=conditional)
