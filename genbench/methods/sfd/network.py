"""SFD's network with the official keys: LightningDiT that is told the time of each half of its channels.

Pan et al., "Semantics Lead the Way: Harmonizing Semantic and Texture Modeling with Asynchronous Latent Diffusion"
(arXiv:2512.04926).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.autoguidance import GuidedNetwork
from genbench.methods.lightningdit.network import LightningDiT
from genbench.methods.transformer.embeddings import TimestepEmbedder


class SemanticFirstDiT(LightningDiT, GuidedNetwork):
    """The transformer of texture channels and, behind them, semantic ones. Argument names are the authors'.

    Args:
        hidden_size: width D of a token; each time's embedding takes one half of it.
        semantic_chans: how many of the last channels are semantic.
        semfirst_delta_t: by how much the texture's time is behind.
        guide: arguments of the weaker network of autoguidance, whose keys begin with ``guide.``; none without one.
        arguments: of `LightningDiT`.
    """

    def __init__(
        self,
        *,
        hidden_size: int,
        semantic_chans: int,
        semfirst_delta_t: float,
        guide: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(hidden_size=hidden_size, **arguments)
        self.semantic_chans = semantic_chans
        self.delta = semfirst_delta_t
        del self.t_embedder  # the two halves stand in its place
        self.t_embedder_sem = TimestepEmbedder(hidden_size // 2)
        self.t_embedder_tex = TimestepEmbedder(hidden_size // 2)
        self.guide = SemanticFirstDiT(**guide) if guide is not None else None

    def embed_time(self, t: Tensor) -> Tensor:
        """Times (N,) from 0 to 1 + `semfirst_delta_t` => (N, D).

        The semantic channels are at min(t, 1), the texture is at max(t - `semfirst_delta_t`, 0).
        """
        semantic, texture = self.t_embedder_sem(t.clamp(max=1)), self.t_embedder_tex((t - self.delta).clamp(min=0))
        return torch.cat([semantic, texture], dim=1)

    def moving(self, t: Tensor) -> Tensor:
        """Which channels have begun and not ended at times (N,): bool (N, C, 1, 1)."""
        texture = (t >= self.delta)[:, None].expand(-1, self.in_channels - self.semantic_chans)
        semantic = (t <= 1)[:, None].expand(-1, self.semantic_chans)
        return torch.cat([texture, semantic], dim=1)[..., None, None]
