"""What a card may say about D-AR's transformer and its tokenizer, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.methods.llamagen.settings import LlamaGenSettings, TokenTransformerNetwork
from genbench.methods.settings import check_rotary
from genbench.schema import Strict

TABLE = 1024
"""Rows of the tokenizer's tables of queries and of positions, of which the first are used."""


class DARNetwork(TokenTransformerNetwork):
    """Of a network whose tokens are a line."""

    @model_validator(mode="after")
    def _turns(self) -> Self:
        if self.dim // self.n_head % 2:
            raise ValueError(f"rotary positions need a head width that 2 divides: {self.dim}/{self.n_head}")
        return self


class DARSettings(LlamaGenSettings):
    """Settings as the authors count and name them (D-AR, ``autoregressive/models/generate.py``)."""

    cfg_end: float | None = Field(default=None, ge=1)
    """Guidance of the last token, where that of the first is `cfg` and the others' lie evenly between; none where all
    have `cfg`. A `cfg` of 1 stays 1 here; the authors' program makes it 1.001 where the end is above."""


class FlowNetwork(Strict):
    """The flow from noise to pixels."""

    dim: int = Field(gt=0)
    """Width of a patch's token."""
    depth: int = Field(gt=0)
    """Blocks."""
    patch_size: int = Field(gt=0)
    """Side of a patch, pixels."""
    data_std: float = Field(default=1.0, gt=0)
    """What images in [-1, 1] are multiplied by before noise is mixed in."""
    time_shift: float = Field(default=1.0, gt=0)
    """Above 1, steps are finer towards the noise: t becomes t / (t + shift·(1 - t))."""


class DARTokenizerNetwork(Strict):
    """Arguments of D-AR's tokenizer by the names of the authors' configuration."""

    sampling_resolution: int = Field(default=256, gt=0)
    """Side of an image, pixels."""
    encoder_patch_size: int = Field(gt=0)
    """Side of the patches that the encoder sees, pixels."""
    encoder_dim: int = Field(gt=0)
    """Width of the encoder's tokens."""
    num_encoder_layers: int = Field(gt=0)
    decoder_dim: int = Field(gt=0)
    """Width of the token decoder's tokens, which are what the flow is conditioned on."""
    num_decoder_layers: int = Field(gt=0)
    vq_dim: int = Field(gt=0)
    """Channels of an entry of the codebook."""
    vq_codebook_size: int = Field(gt=0)
    """Entries."""
    num_all_queries: int = Field(gt=0, le=TABLE)
    """Tokens of an image."""
    num_denoising_steps: int = Field(gt=0)
    """Steps of the flow, each of which sees its own share of the tokens, in order."""
    head_dim: int = Field(default=64, gt=0)
    """Width of a head of attention, everywhere."""
    diff_decoder: FlowNetwork

    @model_validator(mode="after")
    def _divides(self) -> Self:
        for name, part, whole in (
            ("encoder_patch_size", self.encoder_patch_size, self.sampling_resolution),
            ("diff_decoder.patch_size", self.diff_decoder.patch_size, self.sampling_resolution),
            ("num_denoising_steps", self.num_denoising_steps, self.num_all_queries),
            ("head_dim", self.head_dim, self.encoder_dim),
            ("head_dim", self.head_dim, self.decoder_dim),
            ("head_dim", self.head_dim, self.diff_decoder.dim),
        ):
            if whole % part:
                raise ValueError(f"{name} {part} does not divide {whole}")
        check_rotary(self.head_dim, 1)
        return self
