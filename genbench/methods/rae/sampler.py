"""RAE's sampler: an ODE on the linear path, t = 1 noise, t = 0 data, along a shifted grid that ends before 0."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.errors import UsageError
from genbench.methods.guidance import guide, predictions
from genbench.methods.networks import evaluate
from genbench.methods.noise import Noise
from genbench.methods.rae.network import DiTDH
from genbench.methods.rae.settings import RAESettings
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution, fixed_step
from genbench.methods.timeshift import shifted


class RAESampler(NetworkSampler[DiTDH, RAESettings]):
    """The transformer, and its guide if it has one, with one preset. See `RAESettings` for what each setting means.

    Raises `UsageError` for autoguidance of a network without a guide.
    """

    name = "DiT^DH"
    module = DiTDH

    def prepare(self) -> None:
        """The guide; `UsageError` for autoguidance without one."""
        if self.network.guide is not None:
            self.weaker = evaluate(self.network.guide, self.settings, self.device)
        elif self.settings.guidance == "autoguidance":
            raise UsageError(
                "autoguidance needs a second network, and the variant names none",
                hint="use a preset without it, or give the card's network a guide",
            )

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Along the shifted grid."""
        s = self.settings
        x = noise.normal(self.shape)
        grid = shifted(1 - torch.linspace(0, 1 - s.end, s.steps, device=x.device), s.shift)
        return fixed_step(self._guided, x, labels, grid, s.integrator)

    def _guided(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        s = self.settings
        if s.guidance == "none" or s.scale == 1 or not len(t) or not s.t_min <= t[0] <= s.t_max:
            return self.evaluate(x, t, labels)
        if s.guidance == "autoguidance":
            own, other = self.evaluate(x, t, labels), self.weaker(x, t, labels)
        else:
            own, other = predictions(self.evaluate, x, t, labels, self.network.num_classes)
        return guide(own, other, s.scale, None, rest=own)
