"""REPA's samplers of x_t = α_t·data + σ_t·noise: t = 1 is noise, t = 0 data; the network estimates dx_t/dt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.interpolants import PATHS
from genbench.methods.noise import Noise
from genbench.methods.repa.network import RepresentationAlignedSiT, sampling_state
from genbench.methods.repa.settings import REPASettings
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution

_PATHS = {"linear": "linear", "cosine": "gvp"}
"""REPA's paths by the names of SiT's, whose time runs the other way."""


class REPASampler(NetworkSampler[RepresentationAlignedSiT, REPASettings]):
    """The transformer with one preset. See `REPASettings` for what each setting means.

    The state is float64, as the authors keep it; the network sees float32 (or what the preset says).
    """

    name = "REPA"
    module = RepresentationAlignedSiT

    @torch.inference_mode()
    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One latent, as the decoder takes it, for each generator and label: float32 (N, C, H, W).

        Raises `UsageError` for a label outside the classes.
        """
        return self.network.to_decoder(self.normalised(noise, labels))

    @torch.inference_mode()
    def normalised(self, noise: Noise, labels: Tensor) -> Tensor:
        """As `sample`, before the network's latent statistics are undone."""
        return super().sample(noise, labels)

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From noise to data, in the network's units."""
        x = noise.normal(self.shape).double()
        solution = self._ode(x, labels) if self.settings.mode == "ode" else self._sde(x, labels, noise)
        return solution._replace(x=solution.x.float())

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """The file less its training-only heads, early files' names brought up to date."""
        return sampling_state(state, network["depth"])

    def _ode(self, x: Tensor, labels: Tensor) -> Solution:
        grid = _grid(1, 0, self.settings.steps + 1)
        heun = self.settings.integrator == "heun"
        for now, after in pairwise(grid):
            guided = self._is_guided(now)
            slope = self._velocity(x, now, labels, guided=guided)
            if heun and after > 0:  # the interval is asked about the step's start for both slopes, as by the authors
                slope = (slope + self._velocity(x + (after - now) * slope, after, labels, guided=guided)) / 2
            x = x + (after - now) * slope
        return Solution(x, 2 * self.settings.steps - 1 if heun else self.settings.steps)

    def _sde(self, x: Tensor, labels: Tensor, noise: Noise) -> Solution:
        """Euler-Maruyama on dx = (v - t·score) dt + √(2t) dw, and a last step without noise."""
        grid = _grid(1, self.settings.last_step_size, self.settings.steps)
        for now, after in pairwise([*grid, 0.0]):
            velocity = self._velocity(x, now, labels, guided=self._is_guided(now))
            path = PATHS[_PATHS[self.settings.path]](torch.tensor(1 - now, dtype=torch.float64))
            drift = velocity - now * path.score_of_velocity(-velocity, x)
            x = x + (after - now) * drift
            if after > 0:
                x = x + math.sqrt(2 * now) * math.sqrt(now - after) * noise.normal(self.shape).double()
        return Solution(x, self.settings.steps)

    def _is_guided(self, time: float) -> bool:
        s = self.settings
        return s.cfg > 1 and s.guidance_low <= time <= s.guidance_high

    def _velocity(self, x: Tensor, time: float, labels: Tensor, *, guided: bool) -> Tensor:
        """Velocity in float64. The drift is linear in it, so guiding it is guiding the drift, as the authors do."""
        inputs, t = x.float(), torch.full((len(x),), time, device=x.device)
        if not guided:
            return self.evaluate(inputs, t, labels).double()
        conditional, null = predictions(self.evaluate, inputs, t, labels, self.network.num_classes)
        conditional, null = conditional.double(), null.double()
        return guide(conditional, null, self.settings.cfg, None, rest=conditional)


def _grid(start: float, end: float, points: int) -> list[float]:
    return torch.linspace(start, end, points, dtype=torch.float64).tolist()
