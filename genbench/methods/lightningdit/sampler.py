"""LightningDiT's sampler: an ODE on the linear path, t = 0 noise, t = 1 data, along a shifted grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.lightningdit.network import LightningDiT
from genbench.methods.lightningdit.settings import LightningDiTSettings
from genbench.methods.networks import build, check_labels, evaluate, parameters
from genbench.methods.noise import Noise
from genbench.methods.solvers import fixed_step
from genbench.methods.timeshift import shifted


class LightningDiTSampler:
    """The transformer with one preset. See `LightningDiTSettings` for what each setting means."""

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: LightningDiTSettings,
        state: dict[str, Tensor] | None,
        device: torch.device,
    ) -> None:
        self.network = build(lambda: LightningDiT(**network), state, device, name="LightningDiT")
        self.velocity = evaluate(self.network, settings, device)
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
        grid = shifted(torch.linspace(0, 1, s.steps, device=x.device), s.shift)
        solution = fixed_step(self._guided, x, labels.to(self.device), grid, s.integrator)
        self.nfe = solution.evaluations
        return solution.x

    def _guided(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Guided velocity from `cfg_start` on, on the first channels; the conditional one before, and of the rest."""
        s = self.settings
        if s.cfg == 1 or not len(t) or t[0] < s.cfg_start:
            return self.velocity(x, t, labels)
        conditional, null = predictions(self.velocity, x, t, labels, self.network.num_classes)
        return guide(conditional, null, s.cfg, s.cfg_channels, rest=conditional)
