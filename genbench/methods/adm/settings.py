"""What a card may say about the ADM U-Net. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.schema import Strict

GROUPS = 32
"""Of every group normalisation."""


class ADMNetwork(Strict):
    """Arguments of `genbench.methods.adm.network.ADMUNet`, which explains them."""

    image_size: int = Field(gt=0)
    num_channels: int = Field(gt=0, multiple_of=GROUPS)
    num_res_blocks: int = Field(gt=0)
    channel_mult: tuple[int, ...] = Field(min_length=1)
    attention_resolutions: tuple[int, ...] = ()
    num_head_channels: int | None = Field(default=None, gt=0)
    num_heads: int = Field(default=4, gt=0)
    num_classes: int | None = Field(default=None, gt=0)
    use_scale_shift_norm: bool = True
    resblock_updown: bool = True

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.image_size % 2 ** (len(self.channel_mult) - 1):
            raise ValueError(f"image_size {self.image_size} cannot be halved {len(self.channel_mult) - 1} times")
        for mult in self.channel_mult:
            width = mult * self.num_channels
            if width % (self.num_head_channels or self.num_heads):
                raise ValueError(f"{width} channels cannot be cut into the heads that are asked for")
        return self
