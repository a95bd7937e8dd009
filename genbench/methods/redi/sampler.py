"""ReDi's sampler: SiT's over the channels of both kinds, of which the latent's are decoded."""

from __future__ import annotations

from torch import Tensor

from genbench.methods.noise import Noise
from genbench.methods.redi.network import JointSiT
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.solvers import Solution


class ReDiSampler(SiTSampler):
    """The transformer with one preset. See `SiTSettings` for what each setting means."""

    name = "ReDi"
    module = JointSiT
    training_only = ("projector.",)
    """The head that is aligned with an encoder, in files that have one."""
    network: JointSiT

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """By the settings' equation; the principal components are left out of the sample."""
        solution = super().solve(noise, labels)
        return solution._replace(x=solution.x[:, : self.network.latent_channels])
