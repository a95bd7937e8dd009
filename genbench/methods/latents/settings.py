"""What a decoder's file may say about its network. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.schema import Strict


class LevelledNetwork(Strict):
    """Levels of a convolutional encoder and of the decoder that mirrors it."""

    widths: tuple[int, ...] = Field(min_length=1)
    """Channels of each level, finest first; each level but the last halves the side."""
    groups: int = Field(default=32, gt=0)
    """Of the group norms."""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if any(width <= 0 or width % self.groups for width in self.widths):
            raise ValueError(f"groups {self.groups} do not divide the widths {self.widths}")
        return self

    @property
    def factor(self) -> int:
        """Side of an image over that of its latents."""
        return 1 << (len(self.widths) - 1)


class ConvolutionalNetwork(LevelledNetwork):
    """Shape of diffusers' encoder and of its decoder."""

    blocks: int = Field(default=2, gt=0)
    """Residual blocks of a level of the encoder; the decoder's have one more."""
    attention: tuple[int, ...] = ()
    """Levels with self-attention, from 0; the middle always has one."""
    decoder_attention: tuple[int, ...] | None = None
    """The decoder's, where its levels are others."""

    @model_validator(mode="after")
    def _attends(self) -> Self:
        attended = {*self.attention, *(self.decoder_attention or ())}
        if not attended <= set(range(len(self.widths))):
            raise ValueError(f"attention {sorted(attended)}: the levels are 0 to {len(self.widths) - 1}")
        return self


class AutoencoderNetwork(ConvolutionalNetwork):
    """Arguments of `genbench.methods.latents.autoencoder.module`."""

    latent_channels: int = Field(gt=0)
