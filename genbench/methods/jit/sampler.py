"""JiT's sampler: an ODE on the linear path, t = 0 noise, t = 1 data, towards the image that the network predicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.jit.network import JiT
from genbench.methods.jit.settings import JiTSettings
from genbench.methods.networks import build, check_labels, evaluate, parameters
from genbench.methods.noise import Noise
from genbench.methods.solvers import fixed_step


class JiTSampler:
    """The transformer with one preset. See `JiTSettings` for what each setting means."""

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: JiTSettings,
        state: dict[str, Tensor] | None,
        device: torch.device,
    ) -> None:
        self.network = build(lambda: JiT(**network), state, device, name="JiT")
        self.predict = evaluate(self.network, settings, device)
        self.settings = settings
        self.device = device
        self.shape = (network["in_channels"], network["input_size"], network["input_size"])
        self.parameters = parameters(self.network)
        self.nfe: float | None = None

    @torch.inference_mode()
    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image for each generator and label: float32 (N, C, H, W), about [-1, 1].

        Raises `UsageError` for a label outside the classes.
        """
        check_labels(labels, self.network.num_classes)
        s = self.settings
        labels = labels.to(self.device)
        grid = torch.linspace(0, 1, s.steps + 1, device=self.device)
        path = fixed_step(self._velocity, s.noise_scale * noise.normal(self.shape), labels, grid[:-1], s.integrator)
        last = fixed_step(self._velocity, path.x, labels, grid[-2:], "euler")
        self.nfe = path.evaluations + last.evaluations
        return last.x

    def _velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """(image - x) / max(1 - t, t_eps)."""
        left = (1 - t).clamp_min(self.settings.t_eps).view(-1, 1, 1, 1)
        return (self._image(t, x, labels) - x) / left

    def _image(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        s = self.settings
        if s.cfg == 1 or not len(t) or not self._guides(t[0]):
            return self.predict(x, t, labels)
        conditional, null = predictions(self.predict, x, t, labels, self.network.num_classes)
        return guide(conditional, null, s.cfg, None, rest=conditional)

    def _guides(self, t: Tensor) -> bool:
        s = self.settings
        return bool(t < s.cfg_end) and (s.cfg_start == 0 or bool(t > s.cfg_start))
