"""JiT's sampler: an ODE on the linear path, t = 0 noise, t = 1 data, towards the image that the network predicts."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.jit.network import JiT
from genbench.methods.jit.settings import JiTSettings
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution, fixed_step


class JiTSampler(NetworkSampler[JiT, JiTSettings]):
    """The transformer with one preset. See `JiTSettings` for what each setting means."""

    name = "JiT"
    module = JiT

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Along even steps; the last one is Euler's."""
        s = self.settings
        grid = torch.linspace(0, 1, s.steps + 1, device=self.device)
        path = fixed_step(self._velocity, s.noise_scale * noise.normal(self.shape), labels, grid[:-1], s.integrator)
        last = fixed_step(self._velocity, path.x, labels, grid[-2:], "euler")
        return Solution(last.x, path.evaluations + last.evaluations)

    def _velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """(image - x) / max(1 - t, t_eps)."""
        left = (1 - t).clamp_min(self.settings.t_eps).view(-1, 1, 1, 1)
        return (self._image(t, x, labels) - x) / left

    def _image(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        s = self.settings
        if s.cfg == 1 or not len(t) or not self._guides(t[0]):
            return self.evaluate(x, t, labels)
        conditional, null = predictions(self.evaluate, x, t, labels, self.network.num_classes)
        return guide(conditional, null, s.cfg, None, rest=conditional)

    def _guides(self, t: Tensor) -> bool:
        s = self.settings
        return bool(t < s.cfg_end) and (s.cfg_start == 0 or bool(t > s.cfg_start))
