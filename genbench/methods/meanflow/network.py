"""MeanFlow's network on SiT: DiT's transformer that is told two times.

Geng et al., "Mean Flows for One-step Generative Modeling" (arXiv:2505.13447); keys of the port zhuyu-cs/MeanFlow.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from genbench.methods.dit.network import DiT
from genbench.methods.transformer.embeddings import TimestepEmbedder


class MeanFlowSiT(DiT):
    """The transformer with an embedding of the time and one of the span; arguments are those of `DiT`."""

    def __init__(self, *, hidden_size: int, **arguments: Any) -> None:
        super().__init__(hidden_size=hidden_size, **arguments)
        self.r_embedder = TimestepEmbedder(hidden_size)

    def embed_time(self, t: Tensor) -> Tensor:
        """Pairs (r, t) of times (N, 2) => (N, D); the second embedder is given t - r."""
        r, t = t.unbind(1)
        return self.t_embedder(t) + self.r_embedder(t - r)  # type: ignore[no-any-return]
