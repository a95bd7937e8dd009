"""RAE's sampler: an ODE on the linear path, t = 1 noise, t = 0 data, along a shifted grid that ends before 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import UsageError
from genbench.methods.guidance import guide, predictions
from genbench.methods.networks import build, check_labels, evaluate, parameters
from genbench.methods.noise import Noise
from genbench.methods.rae.network import DiTDH
from genbench.methods.rae.settings import RAESettings
from genbench.methods.solvers import fixed_step
from genbench.methods.timeshift import shifted


class RAESampler:
    """The transformer, and its guide if it has one, with one preset. See `RAESettings` for what each setting means.

    Raises `UsageError` for autoguidance of a network without a guide.
    """

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: RAESettings,
        state: dict[str, Tensor] | None,
        device: torch.device,
    ) -> None:
        self.network = build(lambda: DiTDH(**network), state, device, name="DiT^DH")
        self.velocity = evaluate(self.network, settings, device)
        if self.network.guide is not None:
            self.weaker = evaluate(self.network.guide, settings, device)
        elif settings.guidance == "autoguidance":
            raise UsageError(
                "autoguidance needs a second network, and the variant names none",
                hint="use a preset without it, or give the card's network a guide",
            )
        self.settings = settings
        self.device = device
        self.shape = (network["in_channels"], network["input_size"], network["input_size"])
        self.parameters = parameters(self.network)
        self.nfe: float | None = None

    @torch.inference_mode()
    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One latent for each generator and label: float32 (N, C, H, W).

        Raises `UsageError` for a label outside the classes.
        """
        check_labels(labels, self.network.num_classes)
        s = self.settings
        x = noise.normal(self.shape)
        grid = shifted(1 - torch.linspace(0, 1 - s.end, s.steps, device=x.device), s.shift)
        solution = fixed_step(self._guided, x, labels.to(self.device), grid, s.integrator)
        self.nfe = solution.evaluations
        return solution.x

    def _guided(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        s = self.settings
        if s.guidance == "none" or s.scale == 1 or not len(t) or not s.t_min <= t[0] <= s.t_max:
            return self.velocity(x, t, labels)
        if s.guidance == "autoguidance":
            own, other = self.velocity(x, t, labels), self.weaker(x, t, labels)
        else:
            own, other = predictions(self.velocity, x, t, labels, self.network.num_classes)
        return guide(own, other, s.scale, None, rest=own)
