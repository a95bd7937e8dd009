"""MeanFlow's network on representation latents: RAE's DiT^DH that is told two times.

"MeanFlow Transformers with Representation Autoencoders" (arXiv:2511.13019); keys of sony/mf-rae's
``DiTwDDTHead_MF``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from genbench.methods.rae.network import DiTDH, FourierEmbedder


class MeanFlowDiTDH(DiTDH):
    """The transformer with an embedding of the time and one of the span; arguments are those of `DiTDH`, no guide."""

    def __init__(self, *, hidden_size: Sequence[int], **arguments: Any) -> None:
        super().__init__(hidden_size=hidden_size, **arguments)
        self.r_embedder = FourierEmbedder(hidden_size[0])

    def embed_time(self, t: Tensor) -> Tensor:
        """Pairs (r, t) of times (N, 2) => (N, D); the second embedder is given t - r."""
        r, t = t.unbind(1)
        return self.t_embedder(t) + self.r_embedder(t - r)  # type: ignore[no-any-return]
