"""MeanFlow's network on pixels: EDM's DDPM++ that is told two times.

Geng et al., "Mean Flows for One-step Generative Modeling" (arXiv:2505.13447); keys of Gsunshine/py-meanflow's
``SongUNet``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from genbench.methods.edm.song import SongUNet


class MeanFlowUNet(SongUNet):
    """Unconditional; q, k and v are thirds of the channels. Arguments are those of `MeanFlowUNetNetwork`."""

    layout = "thirds"
    embeddings = 2

    def __init__(self, *, augment_dim: int = 0, **arguments: Any) -> None:
        super().__init__(label_dim=0, augment_dim=augment_dim, embedding_type="positional", **arguments)

    def forward(self, x: Tensor, times: Tensor, labels: Tensor | None = None, augment: Tensor | None = None) -> Tensor:
        """Images (N, C, R, R), pairs (r, t) of times (N, 2), augmentation labels (N, augment_dim) => (N, C, R, R).

        The time t and the span t - r are embedded; `labels` are for samplers of networks with classes.
        """
        r, t = times.unbind(1)
        return self.modulated(x, torch.cat([self.embedded(t), self.embedded(t - r)], dim=1), augment)
