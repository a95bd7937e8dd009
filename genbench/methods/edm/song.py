"""DDPM++ and NCSN++: the U-Net of Song et al., "Score-Based Generative Modeling through SDEs" (arXiv:2011.13456).

Keys and details are those of EDM's ``SongUNet``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from genbench.methods.edm.blocks import (
    AttentionLayout,
    Conv,
    FourierEmbedding,
    PositionalEmbedding,
    Resampling,
    UNetBlock,
    group_norm,
)
from genbench.methods.edm.unet import UNet

_EPS = 1e-6


def mapped(emb: Tensor, first: nn.Linear, second: nn.Linear) -> Tensor:
    """What was embedded (N, channels) through two layers, each activated => what blocks are told, (N, E)."""
    return F.silu(second(F.silu(first(emb))))


class SongUNet(UNet):
    """DDPM++ (positional embedding, standard encoder) or NCSN++ (Fourier embedding, residual encoder)."""

    block: type[UNetBlock] = UNetBlock
    layout: AttentionLayout = "interleaved"
    embeddings = 1
    """Numbers that are embedded: their embeddings are concatenated."""

    def __init__(
        self,
        *,
        out_channels: int,
        label_dim: int,
        augment_dim: int,
        model_channels: int,
        channel_mult_emb: int = 4,
        embedding_type: Literal["positional", "fourier"],
        channel_mult_noise: int,
        encoder_type: Literal["standard", "residual"],
        resample_filter: Sequence[float],
        **frame: Any,
    ) -> None:
        """`channel_mult_noise`: channels of the noise level's embedding, in units of `model_channels`. `label_dim` and
        `augment_dim` are 0 without classes or augmentation labels. `frame` are arguments of `UNet`.
        """
        noise, emb = model_channels * channel_mult_noise, model_channels * channel_mult_emb

        def block(before: int, after: int, *, attention: bool = False, resample: Resampling | None = None) -> UNetBlock:
            return self.block(
                before,
                after,
                emb,
                heads=int(attention),
                resample=resample,
                taps=resample_filter,
                project_resampled=True,
                scale_and_shift=False,
                skip_scale=0.5**0.5,
                eps=_EPS,
                layout=self.layout,
            )

        super().__init__(
            block,
            model_channels=model_channels,
            stem_channels=model_channels,
            image_taps=resample_filter if encoder_type == "residual" else None,
            attend_last=True,
            **frame,
        )
        embed = FourierEmbedding if embedding_type == "fourier" else partial(PositionalEmbedding, endpoint=True)
        self.map_noise = embed(noise)
        self.map_label = nn.Linear(label_dim, noise) if label_dim else None
        self.map_augment = nn.Linear(augment_dim, noise * self.embeddings, bias=False) if augment_dim else None
        self.map_layer0 = nn.Linear(noise * self.embeddings, emb)
        self.map_layer1 = nn.Linear(emb, emb)
        name = next(iter(self.enc)).removesuffix("_conv")
        self.dec[f"{name}_aux_norm"] = group_norm(self.width, _EPS)
        self.dec[f"{name}_aux_conv"] = Conv(self.width, out_channels, 3)

    def forward(self, x: Tensor, noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None) -> Tensor:
        """Images (N, C, R, R), noise levels (N,), one-hot labels (N, label_dim), augmentation labels (N, augment_dim).

        Labels that are not given are the zero vector. Returns (N, out_channels, R, R).
        """
        return self.modulated(x, self.labelled(self.embedded(noise), labels), augment)

    def embedded(self, x: Tensor) -> Tensor:
        """Numbers (N,) => (N, channels) in this network's order, [sin, cos]."""
        cos, sin = self.map_noise(x).chunk(2, dim=1)
        return torch.cat([sin, cos], dim=1)

    def labelled(self, emb: Tensor, labels: Tensor | None) -> Tensor:
        """What was embedded (N, channels) with one-hot labels (N, label_dim) added, where the network has classes."""
        if self.map_label is None:
            return emb
        classes = self.map_label.in_features
        given = emb.new_zeros(len(emb), classes) if labels is None else labels
        return emb + self.map_label(given * classes**0.5)  # type: ignore[no-any-return]

    def modulated(self, x: Tensor, emb: Tensor, augment: Tensor | None) -> Tensor:
        """Images (N, C, R, R), what was embedded (N, channels), augmentation labels => (N, out_channels, R, R)."""
        if self.map_augment is not None and augment is not None:
            emb = emb + self.map_augment(augment)
        return self.decoded(x, mapped(emb, self.map_layer0, self.map_layer1))

    def decoded(self, x: Tensor, emb: Tensor) -> Tensor:
        """Images (N, C, R, R) through blocks that are told `emb` (N, E) => (N, out_channels, R, R)."""
        x = self.features(x, emb)
        norm, conv = list(self.dec.values())[-2:]
        return conv(F.silu(norm(x)))  # type: ignore[no-any-return]
