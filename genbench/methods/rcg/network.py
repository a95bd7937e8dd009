"""RCG's networks with the official keys: MAGE told a representation, and what draws one (arXiv:2312.03701)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from genbench.methods.mage.network import MAGE
from genbench.methods.rcg.rdm import RDM


class RCG(MAGE):
    """The transformer, whose first token is of a representation (C,) of the image.

    Args:
        embed_dim: width E of the transformer's encoder.
        rdm: arguments of `RDM`, whose keys begin with ``rdm.``; the representations are its.
        mage: the other arguments of `MAGE`.
    """

    def __init__(self, *, embed_dim: int, rdm: Mapping[str, Any], **mage: Any) -> None:
        super().__init__(embed_dim=embed_dim, **mage)
        self.rdm = RDM(**rdm)
        self.latent_prior_proj = nn.Linear(self.rdm.channels, embed_dim)
        self.fake_latent = nn.Parameter(torch.zeros(1, self.rdm.channels))

    def first(self, representations: Tensor) -> Tensor:
        """Representations (N, C), ``fake_latent`` that of none => the first token's embedding (N, E)."""
        return self.latent_prior_proj(representations)  # type: ignore[no-any-return]
