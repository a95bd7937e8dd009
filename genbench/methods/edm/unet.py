"""The frame of EDM's U-Nets: which blocks stand at which resolution, and which outputs the decoder takes again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from genbench.methods.edm.blocks import Conv, UNetBlock

Block = Callable[..., UNetBlock]
"""``block(in_channels, out_channels, attention=False, resample=None)``: a network's blocks with its own options."""


class UNet(nn.Module):
    """Encoder and decoder of `block`s; level i has ``model_channels·channel_mult[i]`` channels at resolution R/2^i.

    Keys are ``enc.`` or ``dec.``, the resolution, and the block: ``enc.16x16_block0``. With `image_taps` the image
    itself, halved by a filter of these taps, enters every lower level of the encoder (NCSN++'s residual encoder). With
    `attend_last` only the last block of a decoder level that attends has attention. `stem_channels` are those of the
    first convolution.
    """

    def __init__(
        self,
        block: Block,
        *,
        img_resolution: int,
        in_channels: int,
        model_channels: int,
        stem_channels: int,
        channel_mult: Sequence[int],
        num_blocks: int,
        attn_resolutions: Sequence[int],
        image_taps: Sequence[float] | None = None,
        attend_last: bool = False,
    ) -> None:
        super().__init__()
        levels = [(img_resolution >> i, model_channels * factor) for i, factor in enumerate(channel_mult)]
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        width, skips = stem_channels, [stem_channels]
        self.enc[f"{img_resolution}x{img_resolution}_conv"] = Conv(in_channels, width, 3)
        for level, (side, level_width) in enumerate(levels):
            if level:
                self.enc[f"{side}x{side}_down"] = block(width, width, resample="down")
                skips.append(width)
                if image_taps is not None:
                    before = in_channels if level == 1 else levels[level - 2][1]
                    self.enc[f"{side}x{side}_aux_residual"] = Conv(
                        before, width, 3, resample="down", taps=image_taps, filter_last=True
                    )
            for index in range(num_blocks):
                attends = side in attn_resolutions
                self.enc[f"{side}x{side}_block{index}"] = block(width, level_width, attention=attends)
                width = level_width
                skips.append(width)
        lowest = levels[-1][0]
        self.dec[f"{lowest}x{lowest}_in0"] = block(width, width, attention=True)
        self.dec[f"{lowest}x{lowest}_in1"] = block(width, width)
        for side, level_width in reversed(levels):
            if side != lowest:
                self.dec[f"{side}x{side}_up"] = block(width, width, resample="up")
            for index in range(num_blocks + 1):
                attends = side in attn_resolutions and (index == num_blocks or not attend_last)
                self.dec[f"{side}x{side}_block{index}"] = block(width + skips.pop(), level_width, attention=attends)
                width = level_width
        self.width = width
        """Channels of what `features` returns."""

    def features(self, x: Tensor, emb: Tensor) -> Tensor:
        """Images (N, in_channels, R, R) and embeddings (N, E) => (N, width, R, R)."""
        image = x
        skips: list[Tensor] = []
        for name, layer in self.enc.items():
            if name.endswith("_aux_residual"):
                image = x = (x + layer(image)) * 0.5**0.5
                skips[-1] = x
            else:
                x = layer(x, emb) if isinstance(layer, UNetBlock) else layer(x)
                skips.append(x)
        for name, layer in self.dec.items():
            if isinstance(layer, UNetBlock):
                x = layer(torch.cat([x, skips.pop()], dim=1) if "_block" in name else x, emb)
        return x
