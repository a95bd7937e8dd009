"""What a card may say about RAEv2's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.rae.settings import Pair
from genbench.methods.settings import NetworkSettings, check_divides, check_interval, check_rotary
from genbench.schema import Strict


class RAEv2Network(Strict):
    """Arguments of `genbench.methods.raev2.network.InContextDiTDH`, which explains them."""

    input_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: Pair
    depth: Pair
    num_heads: Pair
    num_classes: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    num_t_tokens: int = Field(default=4, gt=0)
    num_c_tokens: int = Field(default=8, gt=0)
    base_model_depth: int = Field(default=8, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_divides(self, "num_heads", "hidden_size")
        for width, heads in zip(self.hidden_size, self.num_heads, strict=True):
            check_rotary(width, heads)
        if self.base_model_depth > self.depth[0]:
            raise ValueError(f"base_model_depth {self.base_model_depth} is beyond the encoder's {self.depth[0]} blocks")
        return self


class RAEv2Settings(NetworkSettings):
    """Settings as the authors count and name them (RAEv2, ``stage2/transport`` and its configurations)."""

    steps: int = Field(default=100, ge=1)
    """Steps of Euler from t = 1, noise, to 0."""
    shift: float = Field(default=1.0, gt=0)
    """Times t are moved to shift·t / (1 + (shift - 1)·t); the authors take the root of (262144 / 4096)."""
    guidance: Literal["none", "cfg", "internal"] = "none"
    """Away from the estimate without a class, or from that of the early head (the authors' ``ig``)."""
    scale: float = Field(default=1.0, ge=1)
    """other + scale·(estimate - other)."""
    t_min: float = Field(default=0.0, ge=0, le=1)
    """See `t_max`."""
    t_max: float = Field(default=1.0, ge=0, le=1)
    """Guided at shifted times from one to the other, themselves included."""
    t_eps: float = Field(default=0.05, gt=0)
    """The velocity is (x - data) / max(t, t_eps)."""

    @model_validator(mode="after")
    def _guides(self) -> Self:
        check_interval(self.t_min, self.t_max)
        return self
