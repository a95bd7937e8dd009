"""2-rectified flow++'s sampler: x_t = (1 - t)·data + t·noise, with the velocity of EDM's denoiser.

Lee et al., "Improving the Training of Rectified Flows" (arXiv:2405.20320). The denoiser sees x_t/(1 - t), which has
noise of level σ = t/(1 - t), and v = (x_t - D)/t.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from genbench.methods.edm.sampler import DenoiserSampler
from genbench.methods.karras import Denoise
from genbench.methods.noise import Noise
from genbench.methods.rectified_flow.settings import RectifiedFlowSettings
from genbench.methods.solvers import Solution

_START = 1 - 1e-5
"""First time: at 1 the noise level is infinite."""


class RectifiedFlowSampler(DenoiserSampler[RectifiedFlowSettings]):
    """A network with one preset. See `RectifiedFlowSettings` for what each setting means."""

    name = "rectified flow"

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From noise at the first time to t = 0, in float64."""
        s = self.settings
        steps = (s.steps + 1) // 2 if s.solver == "heun" else s.steps
        grid = [_START, *(1 - i / steps for i in range(1, steps)), 0.0]
        denoise = self.denoiser(labels)
        start = x = noise.normal(self.shape).double()
        for t, after in pairwise(grid):
            data = estimate(denoise, x, t)
            if s.update == "new":
                x = (1 - after) * data + after * start
                continue
            velocity = (x - data) / t
            if s.solver == "heun" and after > 0:
                ahead = x + (after - t) * velocity
                velocity = (velocity + (ahead - estimate(denoise, ahead, after)) / after) / 2
            x = x + (after - t) * velocity
        return Solution(x.float(), s.steps)


def estimate(denoise: Denoise, x: Tensor, t: float) -> Tensor:
    """The data of states x (N, C, H, W) at time t below 1."""
    return denoise(x / (1 - t), torch.full((len(x),), t / (1 - t), dtype=x.dtype, device=x.device))
