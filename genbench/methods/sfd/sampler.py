"""SFD's sampler: an ODE on the linear path along which semantic channels start first and texture channels end last."""

from __future__ import annotations

from torch import Tensor

from genbench.methods.autoguidance import ContrastSampler
from genbench.methods.noise import Noise
from genbench.methods.sfd.network import SemanticFirstDiT
from genbench.methods.sfd.settings import SFDSettings
from genbench.methods.solvers import Solution, dopri5


class SFDSampler(ContrastSampler[SemanticFirstDiT, SFDSettings]):
    """The transformer, and its guide if it has one, with one preset. See `SFDSettings` for what each setting means.

    Samples are of the texture channels alone; the semantic ones have done their work by then.
    """

    name = "SFD"
    module = SemanticFirstDiT
    training_only = ("repa_projector.", "guide.repa_projector.")
    """The heads that are aligned with an encoder."""

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From t = 0, where all is noise, to 1 + `semfirst_delta_t`, where all is data."""
        s = self.settings
        x = noise.normal(self.shape)
        end = 1 + self.network.delta
        solution = dopri5(self._velocity, x, labels, start=0, end=end, rtol=s.rtol, atol=s.atol)
        return solution._replace(x=solution.x[:, : -self.network.semantic_chans])

    def _velocity(self, t: Tensor, x: Tensor, labels: Tensor) -> Tensor:
        """Guided velocity of the channels whose time runs, zero of the others."""
        return self.contrasted(x, t, labels) * self.network.moving(t)
