"""What a card may say about EDM's networks, and settings of EDM's presets. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from genbench.methods.settings import ChurnSettings
from genbench.schema import Strict


def _even(taps: tuple[float, ...]) -> tuple[float, ...]:
    if len(taps) % 2:
        raise ValueError("has an odd number of taps")
    return taps


ModelType = Literal["SongUNet", "DhariwalUNet"]
EncoderType = Literal["standard", "residual"]
"""``residual``: the image, halved, enters every level (NCSN++)."""
Taps = Annotated[tuple[float, ...], Field(min_length=2), AfterValidator(_even)]
"""Of the filter that doubles and halves resolutions, even in number."""
SONG_ONLY = ("embedding_type", "channel_mult_noise", "encoder_type", "resample_filter")
"""Arguments that a DhariwalUNet does not have."""


class UNetFrame(Strict):
    """Arguments that EDM's U-Nets share, by the authors' names."""

    img_resolution: int = Field(gt=0)
    augment_dim: int = Field(default=0, ge=0)
    """Augmentation labels in training. Sampling needs none: with 0 a file's layer for them is left out."""
    model_channels: int = Field(gt=0, multiple_of=4)
    channel_mult: tuple[int, ...] = Field(min_length=1)
    """Channels of each level, in units of `model_channels`."""
    channel_mult_emb: int = Field(default=4, gt=0)
    """Channels of the embedding that modulates the blocks, in units of `model_channels`."""
    num_blocks: int = Field(gt=0)
    """Residual blocks of a level of the encoder; the decoder has one more."""
    attn_resolutions: tuple[int, ...]
    """Resolutions with self-attention."""

    @model_validator(mode="after")
    def _halves(self) -> Self:
        if self.img_resolution % 2 ** (len(self.channel_mult) - 1):
            raise ValueError(f"img_resolution {self.img_resolution} cannot be halved for every level of channel_mult")
        return self


class EDMNetwork(UNetFrame):
    """Arguments of `genbench.methods.edm.network.EDMDenoiser` by the names of the authors' ``EDMPrecond``."""

    model_type: ModelType
    """``SongUNet``: DDPM++ or NCSN++; ``DhariwalUNet``: ADM."""
    img_channels: int = Field(gt=0)
    label_dim: int = Field(default=0, ge=0)
    """Classes, 0 for an unconditional network."""
    embedding_type: Literal["positional", "fourier"] | None = None
    channel_mult_noise: int | None = Field(default=None, gt=0)
    """Channels of the noise level's embedding, in units of `model_channels`."""
    encoder_type: EncoderType | None = None
    resample_filter: Taps | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        given = [name for name in SONG_ONLY if getattr(self, name) is not None]
        if self.model_type == "SongUNet" and len(given) < len(SONG_ONLY):
            raise ValueError(f"a SongUNet needs {', '.join(name for name in SONG_ONLY if name not in given)}")
        if self.model_type == "DhariwalUNet" and given:
            raise ValueError(f"a DhariwalUNet has no {', '.join(given)}")
        return self


class EDMSettings(ChurnSettings):
    """Settings of EDM's sampler by the authors' names (``generate.py``)."""

    steps: int = Field(default=18, ge=2)
    """Noise levels above 0: Heun's method makes 2·steps - 1 evaluations."""
