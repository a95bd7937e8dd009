"""What a card may say about MAR's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.settings import NetworkSettings, check_divides
from genbench.schema import Strict


class MARNetwork(Strict):
    """Arguments of `genbench.methods.mar.network.MAR`, which explains them."""

    encoder_embed_dim: int = Field(gt=0)
    encoder_depth: int = Field(gt=0)
    encoder_num_heads: int = Field(gt=0)
    decoder_embed_dim: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    decoder_num_heads: int = Field(gt=0)
    diffloss_d: int = Field(gt=0)
    diffloss_w: int = Field(gt=0)
    img_size: int = Field(default=256, gt=0)
    vae_stride: int = Field(default=16, gt=0)
    patch_size: int = Field(default=1, gt=0)
    vae_embed_dim: int = Field(default=16, gt=0)
    class_num: int = Field(default=1000, gt=0)
    buffer_size: int = Field(default=64, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if self.img_size % (self.vae_stride * self.patch_size):
            raise ValueError(f"img_size {self.img_size} is no multiple of {self.vae_stride * self.patch_size}")
        for part in ("encoder", "decoder"):
            check_divides(self, f"{part}_num_heads", f"{part}_embed_dim")
        return self


class MARSettings(NetworkSettings):
    """Settings as the authors count and name them (MAR, ``sample_tokens``)."""

    iterations: int = Field(default=256, ge=1)
    """Times that tokens are added, more of them each time (cosine); never fewer than one."""
    diffusion_steps: int = Field(default=100, ge=2, le=1000)
    """Steps in which a token is drawn, of the 1000 of training."""
    cfg: float = Field(default=1.0, ge=1)
    """Classifier-free guidance of a token's noise estimate: null + cfg·(conditional - null); 1 is off."""
    cfg_schedule: Literal["linear", "constant"] = "linear"
    """Rising with the share of tokens that are there, or the same throughout."""
    temperature: float = Field(default=1.0, gt=0)
    """What the noise of a diffusion step is multiplied by."""
