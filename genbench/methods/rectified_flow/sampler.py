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
            return (x - self.evaluate(x / (1 - t), (t / (1 - t)).expand(len(x)), one_hot)) / t

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

    def _times(self) -> Tensor:
        s = self.settings
        steps = (s.steps + 1) // 2 if s.solver == "heun" else s.steps
        return torch.tensor([_START, *(i / steps for i in range(steps - 1, -1, -1))], device=self.device)
