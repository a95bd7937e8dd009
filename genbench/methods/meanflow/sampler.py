"""MeanFlow's samplers: t = 1 is noise, t = 0 data; networks estimate the average velocity u between two times."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, TypeVar

import torch
from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.meanflow.ditdh import MeanFlowDiTDH
from genbench.methods.meanflow.network import MeanFlowSiT
from genbench.methods.meanflow.settings import AverageVelocitySettings, MeanFlowSettings
from genbench.methods.meanflow.unet import MeanFlowUNet
from genbench.methods.networks import without
from genbench.methods.noise import Noise
from genbench.methods.sampler import M, NetworkSampler
from genbench.methods.solvers import Solution

A = TypeVar("A", bound=AverageVelocitySettings)


class AverageVelocitySampler(NetworkSampler[M, A]):
    """What the samplers of MeanFlow's networks share."""

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """By x_r = x_t - (t - r)·u(x_t, r, t)."""
        x = noise.normal(self.shape)
        for t, r in pairwise(torch.linspace(1, 0, self.settings.steps + 1, device=self.device)):
            x = x - (t - r) * self.velocity(x, torch.stack([r, t]).expand(len(x), 2), labels)
        return Solution(x, self.settings.steps)

    def velocity(self, x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """u for states (N, C, H, W), pairs (r, t) of times (N, 2) and labels (N,)."""
        return self.evaluate(x, times, labels)


class MeanFlowSampler(AverageVelocitySampler[MeanFlowSiT, MeanFlowSettings]):
    """The transformer with one preset. See `MeanFlowSettings` for what each setting means."""

    name = "MeanFlow"
    module = MeanFlowSiT

    def velocity(self, x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        """Guided u; networks that were trained with guidance are sampled without any."""
        if self.settings.cfg == 1:
            return self.evaluate(x, times, labels)
        conditional, null = predictions(self.evaluate, x, times, labels, self.network.num_classes)
        return guide(conditional, null, self.settings.cfg, None, rest=conditional)


class MeanFlowDiTDHSampler(AverageVelocitySampler[MeanFlowDiTDH, AverageVelocitySettings]):
    """The transformer of representation latents with one preset. See `AverageVelocitySettings`."""

    name = "MeanFlow DiT^DH"
    module = MeanFlowDiTDH


class MeanFlowUNetSampler(AverageVelocitySampler[MeanFlowUNet, AverageVelocitySettings]):
    """The U-Net of pixels with one preset. See `AverageVelocitySettings` for what each setting means."""

    name = "MeanFlow U-Net"
    module = MeanFlowUNet

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """Less the layer of augmentation labels where the card's network has none: some files hold it unused."""
        return state if network.get("augment_dim") else without(state, ["map_augment."])

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (C, H, W) of one draw and one image."""
        return network["in_channels"], network["img_resolution"], network["img_resolution"]
