"""ECT's denoiser: EDM's network, preconditioned so that it is a consistency model.

Geng et al., "Consistency Models Made Easy" (arXiv:2406.14548); keys of locuslab/ect's ``ECMPrecond``, which evaluation
mode changes: what is here is that mode.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genbench.methods.edm.network import EDMDenoiser
from genbench.methods.preconditioning import Scalings, boundary_scalings


class ECTDenoiser(EDMDenoiser):
    """D(x, σ) with D(x, sigma_min) = x; other arguments are those of `EDMDenoiser`."""

    def __init__(self, *, sigma_min: float = 0.003, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.sigma_min = sigma_min

    def scalings(self, sigma: Tensor) -> Scalings:
        """The boundary form; in training the authors' network has EDM's own."""
        return boundary_scalings(sigma, self.sigma_min)
