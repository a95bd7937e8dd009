"""What a card may say about RAE's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt, model_validator

from genbench.methods.settings import ContrastSettings, check_divides, check_interval, check_rotary
from genbench.schema import Strict

Pair = tuple[PositiveInt, PositiveInt]
"""Of the encoder and of the head."""


class DiTDHNetwork(Strict):
    """Arguments of `genbench.methods.rae.network.DiTDH`, which explains them."""

    input_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: Pair
    depth: Pair
    num_heads: Pair
    num_classes: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    use_qknorm: bool = False
    use_swiglu: bool = True
    use_rope: bool = True
    use_rmsnorm: bool = True
    use_pos_embed: bool = True
    guide: DiTDHNetwork | None = None

    @model_validator(mode="after")
    def _consistent(self) -> DiTDHNetwork:
        check_divides(self, "num_heads", "hidden_size")
        if self.use_rope:
            for width, heads in zip(self.hidden_size, self.num_heads, strict=True):
                check_rotary(width, heads)
        if self.hidden_size[0] % 4:
            raise ValueError(f"hidden_size {self.hidden_size[0]} of the encoder is no multiple of 4")
        if self.guide is not None and self.guide.guide is not None:
            raise ValueError("a guide has no guide of its own")
        return self


class DecoderNetwork(Strict):
    """Arguments of `genbench.methods.rae.decoder.RAEDecoder`, which explains them."""

    hidden_size: int = Field(gt=0)
    decoder_hidden_size: int = Field(gt=0, multiple_of=4)
    decoder_intermediate_size: int = Field(gt=0)
    decoder_num_attention_heads: int = Field(gt=0)
    decoder_num_hidden_layers: int = Field(gt=0)
    image_size: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    num_channels: int = Field(default=3, gt=0)
    layer_norm_eps: float = Field(default=1e-12, gt=0)


class ImageDecoderNetwork(DecoderNetwork):
    """A decoder as its file in the registry describes it: with the image processor of the encoder that it inverts."""

    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]
    """Of the channels of images in [0, 1]."""


class RAESettings(ContrastSettings):
    """Settings as the authors count and name them (RAE, ``sample_ddp.py`` and its configurations)."""

    steps: int = Field(default=50, ge=2)
    """Points of the time grid: ``steps - 1`` steps."""
    integrator: Literal["euler", "heun", "midpoint"] = "euler"
    """Rule of every step."""
    shift: float = Field(default=1.0, gt=0)
    """Times t are moved to shift·t / (1 + (shift - 1)·t); the authors take the root of (values of a latent / 4096)."""
    end: float = Field(default=0.001, ge=0, lt=1)
    """Last time of the grid before its shift; the rest of the way to 0 is not made."""
    t_min: float = Field(default=0.0, ge=0, le=1)
    """See `t_max`."""
    t_max: float = Field(default=1.0, ge=0, le=1)
    """Guided at times from one to the other, themselves included; 1 is noise."""

    @model_validator(mode="after")
    def _guides(self) -> RAESettings:
        check_interval(self.t_min, self.t_max)
        return self
