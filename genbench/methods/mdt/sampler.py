"""MDTv2's sampler: DiT's, guided by a power-cosine schedule."""

from __future__ import annotations

import math

from torch import Tensor

from genbench.methods.dit.sampler import DiTSampler
from genbench.methods.mdt.network import MDTv2
from genbench.methods.mdt.settings import MDTSettings
from genbench.methods.respacing import TRAINING_STEPS


class MDTSampler(DiTSampler):
    """The transformer with one preset. See `MDTSettings` for what each setting means."""

    name = "MDTv2"
    module = MDTv2
    training_only = ("mask_token", "sideblocks.")
    """What stands for a masked token, and the block that fills it in."""
    settings: MDTSettings

    def scale(self, t: Tensor) -> float:
        """The schedule's at the training steps t (N,), which are one step."""
        s = self.settings
        share = (1 - math.cos(math.pi * (1 - float(t[0]) / TRAINING_STEPS) ** s.scale_pow)) / 2
        return 1 + (s.cfg - 1) * share
