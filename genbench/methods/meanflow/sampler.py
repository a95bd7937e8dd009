"""MeanFlow's sampler: t = 1 is noise, t = 0 data; the network estimates the average velocity u between two times."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from genbench.methods.guidance import Network, guide, predictions
from genbench.methods.meanflow.network import MeanFlowSiT
from genbench.methods.meanflow.settings import MeanFlowSettings
from genbench.methods.networks import build, check_labels, evaluate, parameters
from genbench.methods.noise import Noise


class MeanFlowSampler:
    """The transformer with one preset. See `MeanFlowSettings` for what each setting means."""

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: MeanFlowSettings,
        state: dict[str, Tensor] | None,
        device: torch.device,
    ) -> None:
        self.network = build(lambda: MeanFlowSiT(**network), state, device, name="MeanFlow")
        self.evaluate: Network = evaluate(self.network, settings, device)
        self.settings = settings
        self.device = device
        self.shape = (network["in_channels"], network["input_size"], network["input_size"])
        self.parameters = parameters(self.network)
        self.nfe: float | None = None

    @torch.inference_mode()
    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One latent for each generator and label: float32 (N, C, H, W), by x_r = x_t - (t - r)·u(x_t, r, t).

        Raises `UsageError` for a label outside the classes.
        """
        check_labels(labels, self.network.num_classes)
        x = noise.normal(self.shape)
        labels = labels.to(self.device)
        for t, r in pairwise(torch.linspace(1, 0, self.settings.steps + 1, device=self.device)):
            x = x - (t - r) * self._velocity(x, torch.stack([r, t]).expand(len(x), 2), labels)
        self.nfe = self.settings.steps
        return x

    def _velocity(self, x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        if self.settings.cfg == 1:
            return self.evaluate(x, times, labels)
        conditional, null = predictions(self.evaluate, x, times, labels, self.network.num_classes)
        return guide(conditional, null, self.settings.cfg, None, rest=conditional)
