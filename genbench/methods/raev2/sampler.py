"""RAEv2's sampler: Euler's steps on the linear path, t = 1 noise, t = 0 data, of a network that estimates the data."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.noise import Noise
from genbench.methods.raev2.network import InContextDiTDH
from genbench.methods.raev2.settings import RAEv2Settings
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution, fixed_step
from genbench.methods.timeshift import shifted


class RAEv2Sampler(NetworkSampler[InContextDiTDH, RAEv2Settings]):
    """The transformer with one preset. See `RAEv2Settings` for what each setting means."""

    name = "DiT^DH with tokens"
    module = InContextDiTDH
    training_only = ("repa_projector.",)
    """The head that is aligned with an encoder, in files that have one."""

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Along the shifted grid, to 0 itself."""
        s = self.settings
        x = noise.normal(self.shape)
        grid = shifted(torch.linspace(1, 0, s.steps + 1, device=x.device), s.shift)
        return fixed_step(self._velocity, x, labels, grid, "euler")

    def _velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        return (x - self.data(x, t, labels)) / t.clamp(min=self.settings.t_eps).view(-1, 1, 1, 1)

    def data(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """The guided estimate of the latents from states x (N, C, H, W) at times t (N,), which are one time."""
        s = self.settings
        if s.guidance == "none" or not len(t) or not s.t_min <= t[0] <= s.t_max:
            return self.estimates(x, t, labels)[0]
        if s.guidance == "internal":
            own, other = self.estimates(x, t, labels)
        else:
            own, other = predictions(self._full, x, t, labels, self.network.num_classes)
        return guide(own, other, s.scale, None, rest=own)

    def estimates(self, x: Tensor, t: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The head's estimate of the latents (N, C, H, W), and the early one."""
        full, early = self.evaluate(x, t, labels).chunk(2, dim=1)
        return full, early

    def _full(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        return self.estimates(x, t, labels)[0]
