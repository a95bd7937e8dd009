"""What a card may say about LlamaGen's transformer and its tokenizer, and settings of its presets. Imports no torch."""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator

from genbench.methods.latents.settings import ConvolutionalNetwork
from genbench.methods.settings import DrawSettings, check_divides, check_rotary
from genbench.schema import Strict


class TokenTransformerNetwork(Strict):
    """Arguments of `genbench.methods.llamagen.network.LlamaGen`, which explains them, whatever its tokens' places."""

    dim: int = Field(gt=0)
    n_layer: int = Field(gt=0)
    n_head: int = Field(gt=0)
    num_classes: int = Field(gt=0)
    block_size: int = Field(default=256, gt=0)
    vocab_size: int = Field(default=16384, gt=0)
    multiple_of: int = Field(default=256, gt=0)
    norm_eps: float = Field(default=1e-5, gt=0)

    @model_validator(mode="after")
    def _divides(self) -> Self:
        check_divides(self, "n_head", "dim")
        return self


class LlamaGenNetwork(TokenTransformerNetwork):
    """Of a network whose tokens are a grid."""

    @model_validator(mode="after")
    def _is_grid(self) -> Self:
        check_rotary(self.dim, self.n_head)
        if math.isqrt(self.block_size) ** 2 != self.block_size:
            raise ValueError(f"block_size {self.block_size} is not a square grid of tokens")
        return self


class CodebookNetwork(ConvolutionalNetwork):
    """Arguments of LlamaGen's tokenizer (VQGAN's, with a codebook of few channels)."""

    codebook_size: int = Field(gt=0)
    code_channels: int = Field(gt=0)
    latent_channels: int = Field(gt=0)
    """Between the convolutions and the codebook."""
    unit: bool = True
    """Latents and the codebook's entries are scaled to length one."""


class LlamaGenSettings(DrawSettings):
    """Settings as the authors count and name them (LlamaGen, ``autoregressive/models/generate.py``)."""

    cfg: float = Field(default=1.0, ge=1)
    """Classifier-free guidance of the logits: null + cfg·(conditional - null); 1 is off."""
    cfg_interval: int | None = Field(default=None, ge=0)
    """Last token that is guided, counted from 0 at the second; none guides all. The first always is."""
    temperature: float = Field(default=1.0, gt=0)
    """What logits are divided by."""
    greedy: bool = False
    """Take the most probable code, and draw nothing."""
