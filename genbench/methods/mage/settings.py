"""What a card may say about MAGE's transformer and its tokenizer, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.methods.latents.settings import LevelledNetwork
from genbench.methods.settings import NetworkSettings, check_divides
from genbench.schema import Strict


class MAGENetwork(Strict):
    """Arguments of `genbench.methods.mage.network.MAGE`, which explains them."""

    embed_dim: int = Field(gt=0)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    decoder_embed_dim: int = Field(gt=0)
    decoder_depth: int = Field(gt=0)
    decoder_num_heads: int = Field(gt=0)
    img_size: int = Field(default=256, gt=0)
    patch_size: int = Field(default=16, gt=0)
    codebook_size: int = Field(default=1024, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        check_divides(self, "patch_size", "img_size")
        check_divides(self, "num_heads", "embed_dim")
        check_divides(self, "decoder_num_heads", "decoder_embed_dim")
        return self


class MAGETokenizerNetwork(LevelledNetwork):
    """Arguments of MAGE's tokenizer (MaskGIT's VQGAN)."""

    blocks: int = Field(default=2, gt=0)
    """Residual blocks of a level, of the encoder and of the decoder."""
    codebook_size: int = Field(gt=0)
    code_channels: int = Field(gt=0)
    """Of an entry, and of the features on either side of the codebook."""


class MAGESettings(NetworkSettings):
    """Settings as the authors count and name them (MAGE, ``gen_img_uncond.py``)."""

    num_iter: int = Field(default=20, ge=1)
    """Iterations, each of which draws every code that is not settled; fewer are left after each (cosine)."""
    temp: float = Field(default=6.0, ge=0)
    """Size of the Gumbel noise on the logarithm of a code's probability when the surest are settled; it falls linearly
    to 0 at the last iteration."""
