"""ReDi's sampler: SiT's over the channels of both kinds, of which the latent's are decoded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genbench.methods.networks import without
from genbench.methods.noise import Noise
from genbench.methods.redi.network import JointSiT
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.solvers import Solution

_TRAINING_ONLY = ("projector.",)
"""The head that is aligned with an encoder, in files that have one."""


class ReDiSampler(SiTSampler):
    """The transformer with one preset. See `SiTSettings` for what each setting means."""

    name = "ReDi"
    module = JointSiT
    network: JointSiT

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """The file less its training-only head."""
        return without(state, _TRAINING_ONLY)

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """By the settings' equation; the principal components are left out of the sample."""
        solution = super().solve(noise, labels)
        return solution._replace(x=solution.x[:, : self.network.latent_channels])
