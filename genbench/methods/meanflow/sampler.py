"""MeanFlow's sampler: t = 1 is noise, t = 0 data; the network estimates the average velocity u between two times."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.meanflow.network import MeanFlowSiT
from genbench.methods.meanflow.settings import MeanFlowSettings
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution


class MeanFlowSampler(NetworkSampler[MeanFlowSiT, MeanFlowSettings]):
    """The transformer with one preset. See `MeanFlowSettings` for what each setting means."""

    name = "MeanFlow"
    module = MeanFlowSiT

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """By x_r = x_t - (t - r)·u(x_t, r, t)."""
        x = noise.normal(self.shape)
        for t, r in pairwise(torch.linspace(1, 0, self.settings.steps + 1, device=self.device)):
            x = x - (t - r) * self._velocity(x, torch.stack([r, t]).expand(len(x), 2), labels)
        return Solution(x, self.settings.steps)

    def _velocity(self, x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        if self.settings.cfg == 1:
            return self.evaluate(x, times, labels)
        conditional, null = predictions(self.evaluate, x, times, labels, self.network.num_classes)
        return guide(conditional, null, self.settings.cfg, None, rest=conditional)
