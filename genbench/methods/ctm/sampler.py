"""Samplers of consistency trajectory models (Kim et al., arXiv:2310.02279): jumps along the path, and noise between."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from torch import Tensor

from genbench.methods.adm.sampler import ADMSampler
from genbench.methods.consistency.sampler import network_time
from genbench.methods.consistency.settings import places_in_grid
from genbench.methods.ctm.network import CTMUNet
from genbench.methods.ctm.settings import CTMSettings
from genbench.methods.ctm.song import CTMSongUNet
from genbench.methods.karras import noise_levels
from genbench.methods.noise import Noise
from genbench.methods.preconditioning import edm_scalings
from genbench.methods.sampler import M, NetworkSampler
from genbench.methods.solvers import Solution


class Jump(NamedTuple):
    """One evaluation, by noise levels."""

    start: float
    target: float
    raised: float
    """Up to which noise is added afterwards."""


class TrajectorySampler(NetworkSampler[M, CTMSettings]):
    """What the samplers of CTM's networks share. See `CTMSettings` for what each setting means."""

    def denoised(self, x: Tensor, t: Tensor, s: Tensor, labels: Tensor) -> Tensor:
        """g(x, t, s): the data from x (N, 3, H, W) at noise levels t (N,), seen from levels s (N,)."""
        times = network_time(t), network_time(s)
        return edm_scalings(t).denoised(x, lambda inner: self.evaluate(inner, times[0], labels, times[1]))

    def jump(self, x: Tensor, t: Tensor, s: Tensor, labels: Tensor) -> Tensor:
        """G(x, t, s) = s/t·x + (1 - s/t)·g(x, t, s): from levels t to levels s."""
        share = (s / t).view(-1, 1, 1, 1)
        return share * x + (1 - share) * self.denoised(x, t, s, labels)

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Jumps from noise at `sigma_max` to `sigma_min`."""
        jumps = self.jumps()
        x = self.settings.sigma_max * noise.normal(self.shape)
        for start, target, raised in jumps:
            x = self.jump(x, x.new_full((len(x),), start), x.new_full((len(x),), target), labels)
            if raised > target:
                x = x + math.sqrt(raised**2 - target**2) * noise.normal(self.shape)
        return Solution(x.clamp(-1, 1) if self.settings.clip else x, len(jumps))

    def jumps(self) -> list[Jump]:
        """The preset's way from the first level to the last."""
        s = self.settings
        if s.detour is not None:
            levels = noise_levels(s.steps, s).tolist()
            low, high = (levels[place] for place in s.turns())
            return [Jump(levels[0], low, high), Jump(high, levels[-1], levels[-1])]
        if s.ts is None:
            levels = noise_levels(s.steps + 1, s).tolist()
        else:
            grid = noise_levels(s.steps, s).tolist()
            levels = [grid[place] for place in places_in_grid(s.ts, s.steps)]
        below = math.sqrt(1 - s.gamma**2)
        way = [Jump(start, below * (end - s.sigma_min) + s.sigma_min, end) for start, end in pairwise(levels)]
        return [*way[:-1], Jump(way[-1].start, levels[-1], levels[-1])]


class CTMSampler(TrajectorySampler[CTMUNet], ADMSampler[CTMUNet, CTMSettings]):
    """The ADM U-Net with one preset."""

    name = "CTM"
    module = CTMUNet


class CTMSongSampler(TrajectorySampler[CTMSongUNet]):
    """DDPM++ with one preset."""

    name = "CTM DDPM++"
    module = CTMSongUNet

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (C, H, W) of one draw and one image."""
        return network["img_channels"], network["img_resolution"], network["img_resolution"]

    def classes(self, network: Mapping[str, Any]) -> int | None:
        """None for an unconditional network."""
        return network.get("label_dim") or None
