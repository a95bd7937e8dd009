"""2-rectified flow++'s sampler: x_t = (1 - t)·data + t·noise, with the velocity of EDM's denoiser.

Lee et al., "Improving the Training of Rectified Flows" (arXiv:2405.20320); keys of sangyun884/rfpp's
``EDMPrecondVel``, which are EDM's. The denoiser sees x_t/(1 - t), which has noise of level σ = t/(1 - t), and
v = (x_t - D)/t.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from genbench.methods.edm.sampler import DenoiserSampler
from genbench.methods.noise import Noise
from genbench.methods.rectified_flow.settings import RectifiedFlowSettings
from genbench.methods.solvers import Solution

_START = 1 - 1e-5
"""First time: at 1 the noise level is infinite."""


class RectifiedFlowSampler(DenoiserSampler[RectifiedFlowSettings]):
    """A network with one preset. See `RectifiedFlowSettings` for what each setting means."""

    name = "rectified flow"

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From noise at the first time to t = 0."""
        s = self.settings
        one_hot = self.network.one_hot(labels)
        start = x = noise.normal(self.shape) * _START

        def velocity(x: Tensor, t: Tensor) -> Tensor:
            return self.velocity(x, t.expand(len(x)), one_hot)

        def moved(x: Tensor, slope: Tensor, t: Tensor, after: Tensor) -> Tensor:
            if s.update == "new":
                return (1 - after) * (x - t * slope) + after * start
            return x + (after - t) * slope

        for t, after in pairwise(self._times()):
            slope = velocity(x, t)
            if s.solver == "heun" and after > 0:
                slope = (slope + velocity(moved(x, slope, t, after), after)) / 2
            x = moved(x, slope, t, after)
        return Solution(x, s.steps)

    def velocity(self, x: Tensor, t: Tensor, one_hot: Tensor | None) -> Tensor:
        """v at states x (N, C, H, W) and times t (N,), below 1 and above 0, of one-hot labels (N, classes)."""
        scale = t.view(-1, 1, 1, 1)
        return (x - self.evaluate(x / (1 - scale), t / (1 - t), one_hot)) / scale

    def _times(self) -> Tensor:
        s = self.settings
        steps = (s.steps + 1) // 2 if s.solver == "heun" else s.steps
        return torch.tensor([_START, *(i / steps for i in range(steps - 1, -1, -1))], device=self.device)
