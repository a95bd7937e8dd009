"""MaskDiT's sampler: EDM's Heun method on latents, with classifier-free guidance."""

from __future__ import annotations

from torch import Tensor

from genbench.methods.guidance import guide, predictions
from genbench.methods.karras import heun_from_noise
from genbench.methods.maskdit.network import MaskDiTDenoiser
from genbench.methods.maskdit.settings import MaskDiTSettings
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution


class MaskDiTSampler(NetworkSampler[MaskDiTDenoiser, MaskDiTSettings]):
    """The denoiser with one preset. See `MaskDiTSettings` for what each setting means."""

    name = "MaskDiT"
    module = MaskDiTDenoiser
    training_only = ("model.mask_token",)
    """What stands for a masked token."""

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From noise of the first level down to level 0."""
        s = self.settings
        return heun_from_noise(
            lambda x, sigma: self._denoised(x, sigma, labels).double(), noise, self.shape, s.steps, s
        )

    def _denoised(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """The guided estimate of the latents: preconditioning is linear, so it is the guided network's."""
        if self.settings.cfg == 1:
            return self.evaluate(x, sigma, labels)
        conditional, null = predictions(self.evaluate, x, sigma, labels, self.network.num_classes)
        return guide(conditional, null, self.settings.cfg, None, rest=conditional)
