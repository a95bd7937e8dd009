"""EDM's sampler: Heun's method over Karras' noise levels, with or without churn; the state is float64."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genbench.methods.edm.network import EDMDenoiser
from genbench.methods.edm.settings import EDMSettings
from genbench.methods.karras import Denoise, heun_from_noise
from genbench.methods.networks import without
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler, S
from genbench.methods.solvers import Solution


class DenoiserSampler(NetworkSampler[EDMDenoiser, S]):
    """What the samplers of EDM's networks share."""

    module = EDMDenoiser

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """Less the layer of augmentation labels where the card's network has none: some files hold it unused."""
        return state if network.get("augment_dim") else without(state, ["model.map_augment."])

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (C, H, W) of one draw and one image."""
        return network["img_channels"], network["img_resolution"], network["img_resolution"]

    def classes(self, network: Mapping[str, Any]) -> int | None:
        """None for an unconditional network."""
        return network.get("label_dim") or None

    def denoiser(self, labels: Tensor) -> Denoise:
        """D(x, σ) of these classes, in float64."""
        one_hot = self.network.one_hot(labels)
        return lambda x, sigma: self.evaluate(x, sigma, one_hot).double()


class EDMSampler(DenoiserSampler[EDMSettings]):
    """A denoiser with one preset. See `EDMSettings` for what each setting means."""

    name = "EDM"

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From noise of the first level down to level 0, in float64."""
        return heun_from_noise(self.denoiser(labels), noise, self.shape, self.settings.steps, self.settings)
