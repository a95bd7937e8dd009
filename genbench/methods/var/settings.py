"""What a card may say about VAR's transformer and its tokenizer, and settings of its presets. Imports no torch."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from genbench.methods.latents.settings import ConvolutionalNetwork
from genbench.methods.settings import DrawSettings, check_divides
from genbench.schema import Strict


def ascending(sides: tuple[int, ...]) -> tuple[int, ...]:
    """The sides of scales. Raises `ValueError` unless there are two or more and they increase."""
    if len(sides) < 2 or any(a <= 0 or a >= b for a, b in pairwise(sides)):
        raise ValueError(f"{sides} are not two or more increasing sides of scales")
    return sides


Scales = Annotated[tuple[int, ...], AfterValidator(ascending)]
"""Side of each scale's grid of tokens."""


class VARNetwork(Strict):
    """Arguments of `genbench.methods.var.network.VAR`, which explains them."""

    num_classes: int = Field(gt=0)
    depth: int = Field(gt=0)
    embed_dim: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    patch_nums: Scales
    vocab_size: int = Field(default=4096, gt=0)
    code_channels: int = Field(default=32, gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    norm_eps: float = Field(default=1e-6, gt=0)
    shared_aln: bool = False
    attn_l2_norm: bool = True

    @model_validator(mode="after")
    def _divides(self) -> Self:
        check_divides(self, "num_heads", "embed_dim")
        return self


class MultiScaleNetwork(ConvolutionalNetwork):
    """Arguments of VAR's tokenizer; see `genbench.methods.var.quantiser.MultiScaleQuantiser`."""

    codebook_size: int = Field(gt=0)
    code_channels: int = Field(gt=0)
    patch_nums: Scales
    kernel: int = Field(default=3, gt=0)
    """Side of the kernels of the convolutions around the quantiser."""
    phis: int = Field(default=4, gt=1)
    phi_share: float = Field(default=0.5, ge=0, le=1)
    cosine: bool = False


class ScaleSettings(DrawSettings):
    """Settings of samplers that draw scale by scale."""

    cfg: float = Field(default=1.5, ge=0)
    """Classifier-free guidance: logits (1 + t)·conditional - t·null, with a t of each scale from `cfg`; 0 is off."""


class VARSettings(ScaleSettings):
    """Settings as the authors count and name them (VAR, ``autoregressive_infer_cfg``)."""

    cfg: float = Field(default=1.5, ge=0)
    """Classifier-free guidance at the last scale: logits (1 + t)·conditional - t·null, with t rising from 0 at the
    first scale to `cfg`; 0 is off. What others call a scale of 1 + `cfg`."""
    more_smooth: bool = False
    """Take a mixture of codes, by Gumbel noise of falling temperature, in place of a drawn one."""
