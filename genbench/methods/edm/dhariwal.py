"""ADM as EDM has it: the U-Net of Dhariwal & Nichol, "Diffusion Models Beat GANs on Image Synthesis".

arXiv:2105.05233. Keys and details are those of EDM's ``DhariwalUNet``; OpenAI's own has other keys and another order of
q, k and v.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from genbench.methods.edm.blocks import Conv, PositionalEmbedding, Resampling, UNetBlock, group_norm
from genbench.methods.edm.unet import UNet

_EPS = 1e-5
_HEAD = 64
"""Channels of an attention head: blocks with fewer have no attention."""


class DhariwalUNet(UNet):
    """The network of EDM's ImageNet 64x64 models."""

    def __init__(
        self,
        *,
        out_channels: int,
        label_dim: int,
        augment_dim: int,
        model_channels: int,
        channel_mult: Sequence[int],
        channel_mult_emb: int = 4,
        **frame: Any,
    ) -> None:
        """`label_dim` and `augment_dim` are 0 without classes or augmentation labels; `frame`: arguments of `UNet`."""
        emb = model_channels * channel_mult_emb

        def block(before: int, after: int, *, attention: bool = False, resample: Resampling | None = None) -> UNetBlock:
            return UNetBlock(before, after, emb, heads=after // _HEAD if attention else 0, resample=resample, eps=_EPS)

        super().__init__(
            block,
            model_channels=model_channels,
            stem_channels=model_channels * channel_mult[0],
            channel_mult=channel_mult,
            **frame,
        )
        self.map_noise = PositionalEmbedding(model_channels, endpoint=False)
        self.map_augment = nn.Linear(augment_dim, model_channels, bias=False) if augment_dim else None
        self.map_layer0 = nn.Linear(model_channels, emb)
        self.map_layer1 = nn.Linear(emb, emb)
        self.map_label = nn.Linear(label_dim, emb, bias=False) if label_dim else None
        self.out_norm = group_norm(self.width, _EPS)
        self.out_conv = Conv(self.width, out_channels, 3)

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None) -> Tensor:
        """Images (N, C, R, R), noise levels (N,), one-hot labels (N, label_dim), augmentation labels (N, augment_dim).

        Labels that are not given are the zero vector. Returns (N, out_channels, R, R).
        """
        emb = self.map_noise(noise)
        if self.map_augment is not None and augment is not None:
            emb = emb + self.map_augment(augment)
        emb = self.map_layer1(F.silu(self.map_layer0(emb)))
        if self.map_label is not None and labels is not None:
            emb = emb + self.map_label(labels)
        return self.out_conv(F.silu(self.out_norm(self.features(x, F.silu(emb)))))  # type: ignore[no-any-return]
