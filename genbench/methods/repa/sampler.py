"""REPA's samplers of x_t = α_t·data + σ_t·noise: t = 1 is noise, t = 0 data; the network estimates dx_t/dt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from genbench.methods.guidance import Network, guide, predictions
from genbench.methods.interpolants import PATHS
from genbench.methods.networks import build, check_labels, evaluate, parameters
from genbench.methods.noise import Noise
from genbench.methods.repa.network import RepresentationAlignedSiT, sampling_state
from genbench.methods.repa.settings import REPASettings

_PATHS = {"linear": "linear", "cosine": "gvp"}
"""REPA's paths by the names of SiT's, whose time runs the other way."""


class REPASampler:
    """The transformer with one preset. See `REPASettings` for what each setting means.

    The state is float64, as the authors keep it; the network sees float32 (or what the preset says).
    """

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: REPASettings,
        state: dict[str, Tensor] | None,
        device: torch.device,
    ) -> None:
        kept = None if state is None else sampling_state(state, network["depth"])
        self.network = build(lambda: RepresentationAlignedSiT(**network), kept, device, name="REPA")
        self.evaluate: Network = evaluate(self.network, settings, device)
        self.settings = settings
        self.device = device
        self.shape = (network["in_channels"], network["input_size"], network["input_size"])
        self.parameters = parameters(self.network)
        self.nfe: float | None = None

    @torch.inference_mode()
    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One latent, as the decoder takes it, for each generator and label: float32 (N, C, H, W).

        Raises `UsageError` for a label outside the classes.
        """
        return self.network.to_decoder(self.normalised(noise, labels))

    @torch.inference_mode()
    def normalised(self, noise: Noise, labels: Tensor) -> Tensor:
        """As `sample`, before the network's latent statistics are undone."""
        check_labels(labels, self.network.num_classes)
        x = noise.normal(self.shape).double()
        labels = labels.to(self.device)
        x = self._ode(x, labels) if self.settings.mode == "ode" else self._sde(x, labels, noise)
        return x.float()

    def _ode(self, x: Tensor, labels: Tensor) -> Tensor:
        grid = _grid(1, 0, self.settings.steps + 1)
        heun = self.settings.integrator == "heun"
        for now, after in pairwise(grid):
            guided = self._is_guided(now)
            slope = self._velocity(x, now, labels, guided=guided)
            if heun and after > 0:  # the interval is asked about the step's start for both slopes, as by the authors
                slope = (slope + self._velocity(x + (after - now) * slope, after, labels, guided=guided)) / 2
            x = x + (after - now) * slope
        self.nfe = 2 * self.settings.steps - 1 if heun else self.settings.steps
        return x

    def _sde(self, x: Tensor, labels: Tensor, noise: Noise) -> Tensor:
        """Euler-Maruyama on dx = (v - t·score) dt + √(2t) dw, and a last step without noise."""
        grid = _grid(1, self.settings.last_step_size, self.settings.steps)
        for now, after in pairwise([*grid, 0.0]):
            velocity = self._velocity(x, now, labels, guided=self._is_guided(now))
            path = PATHS[_PATHS[self.settings.path]](torch.tensor(1 - now, dtype=torch.float64))
            drift = velocity - now * path.score_of_velocity(-velocity, x)
            x = x + (after - now) * drift
            if after > 0:
                x = x + math.sqrt(2 * now) * math.sqrt(now - after) * noise.normal(self.shape).double()
        self.nfe = self.settings.steps
        return x

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
