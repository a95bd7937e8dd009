"""CTM's network for CIFAR-10: EDM's DDPM++ that is told a second time (Kim et al., arXiv:2310.02279).

Keys are those of ``model`` in Kim-Dongjun/ctm-cifar10's ``EDMPrecond_CTM``.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from genbench.methods.edm.blocks import UNetBlock
from genbench.methods.edm.song import SongUNet, mapped


class TargetedBlock(UNetBlock):
    """A block whose embeddings (N, 2E) are those of the time and of the time to which the network jumps."""

    def __init__(self, in_channels: int, out_channels: int, emb_channels: int, **options: Any) -> None:
        super().__init__(in_channels, out_channels, emb_channels, **options)
        self.affine_s = nn.Linear(emb_channels, self.affine.out_features)

    def told(self, emb: Tensor) -> Tensor:
        """The sum of what both times tell."""
        time, target = emb.chunk(2, dim=1)
        return self.affine(time) + self.affine_s(target)  # type: ignore[no-any-return]


class CTMSongUNet(SongUNet):
    """DDPM++ with positional embeddings. Arguments are those of `genbench.methods.ctm.settings.CTMSongNetwork`."""

    block = TargetedBlock

    def __init__(
        self,
        *,
        img_channels: int,
        label_dim: int = 0,
        augment_dim: int = 0,
        model_channels: int,
        channel_mult_emb: int = 4,
        **frame: Any,
    ) -> None:
        super().__init__(
            in_channels=img_channels,
            out_channels=img_channels,
            label_dim=label_dim,
            augment_dim=augment_dim,
            model_channels=model_channels,
            channel_mult_emb=channel_mult_emb,
            embedding_type="positional",
            **frame,
        )
        emb = model_channels * channel_mult_emb
        self.map_layer0_s = nn.Linear(self.map_layer0.in_features, emb)
        self.map_layer1_s = nn.Linear(emb, emb)

    def forward(self, x: Tensor, times: Tensor, labels: Tensor, targets: Tensor) -> Tensor:  # type: ignore[override]
        """Images (N, C, R, R) at times (N,) that jump to times (N,), both 250·ln σ, of classes (N,) => (N, C, R, R).

        An unconditional network does not look at its labels.
        """
        one_hot = None if self.map_label is None else F.one_hot(labels, self.map_label.in_features).to(x.dtype)
        time, target = (self.labelled(self.embedded(moment / 1000), one_hot) for moment in (times, targets))
        told = [mapped(time, self.map_layer0, self.map_layer1), mapped(target, self.map_layer0_s, self.map_layer1_s)]
        return self.decoded(x, torch.cat(told, dim=1))
