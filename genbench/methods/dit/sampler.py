"""DiT's samplers: DDPM with the learned variance, and DDIM, over respaced steps; the network estimates the noise."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.ddpm import schedule
from genbench.methods.dit.network import DiT
from genbench.methods.dit.settings import DiTSettings
from genbench.methods.guidance import guide, predictions
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution


class DiTSampler(NetworkSampler[DiT, DiTSettings]):
    """The transformer with one preset. See `DiTSettings` for what each setting means."""

    name = "DiT"
    module: ClassVar[type[DiT]] = DiT

    def prepare(self) -> None:
        """The schedule; `ConfigError` for a network without the variance that it asks for."""
        if self.settings.mode == "ddpm" and self.network.out_channels == self.network.in_channels:
            raise ConfigError(
                "DiT with learn_sigma = false learned no variance, which mode ddpm samples with",
                hint='set mode = "ddim", or learn_sigma = true for weights that have the variance half',
            )
        self._schedule = schedule(self.settings.steps, self.settings.spacing)

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Over the respaced steps, the last one first."""
        x = noise.normal(self.shape)
        step = self._ddpm if self.settings.mode == "ddpm" else self._ddim
        times = self._schedule.timestep_map.to(self.device)
        for i in reversed(range(self.settings.steps)):
            output = self._guided(x, times[i].expand(len(x)), labels)
            mean, spread = step(x, output, i)
            x = mean if spread is None else mean + spread * noise.normal(self.shape)
        return Solution(x, self.settings.steps)

    def _guided(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """Noise and variance channels; those that are not guided keep the conditional ones."""
        s = self.settings
        if s.cfg == 1:
            return self.evaluate(x, t, labels)
        conditional, null = predictions(self.evaluate, x, t, labels, self.network.num_classes)
        channels = min(s.cfg_channels or self.network.in_channels, self.network.in_channels)
        return guide(conditional, null, self.scale(t), channels, rest=conditional)

    def scale(self, t: Tensor) -> float:
        """Of the guidance at the training steps t (N,), which are one step; the same at all."""
        return self.settings.cfg

    def _data(self, x: Tensor, epsilon: Tensor, i: int) -> Tensor:
        """The estimate of x_0 from one of the noise."""
        data = self._schedule.data(x, epsilon, i)
        return data.clamp(-1, 1) if self.settings.clip else data

    def _ddpm(self, x: Tensor, output: Tensor, i: int) -> tuple[Tensor, Tensor | None]:
        """Mean and standard deviation of x_{t-1}, the variance learned."""
        epsilon, share = output.chunk(2, dim=1)
        return self._schedule.ancestral(x, self._data(x, epsilon, i), share, i)

    def _ddim(self, x: Tensor, output: Tensor, i: int) -> tuple[Tensor, float | None]:
        """Mean and standard deviation of x_{t-1} by DDIM, the noise recomputed from the data."""
        data = self._data(x, output[:, : self.network.in_channels], i)
        return self._schedule.implicit(x, data, i, self.settings.eta)
