"""What a card may say about JiT's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.settings import NetworkSettings, TransformerNetwork, check_interval, check_rotary


class JiTNetwork(TransformerNetwork):
    """Arguments of `genbench.methods.jit.network.JiT`, which explains them."""

    bottleneck_dim: int = Field(gt=0)
    in_context_len: int = Field(default=32, ge=0)
    in_context_start: int = Field(default=8, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_rotary(self.hidden_size, self.num_heads)
        if self.in_context_len and self.in_context_start >= self.depth:
            raise ValueError(f"in_context_start {self.in_context_start} is after the last of {self.depth} blocks")
        return self


class JiTSettings(NetworkSettings):
    """Settings as the authors count and name them (JiT, ``denoiser.py``)."""

    steps: int = Field(default=50, ge=1)
    """Even steps from noise to data; the last one is Euler's."""
    integrator: Literal["euler", "heun"] = "heun"
    """Rule of the steps before the last one."""
    cfg: float = Field(default=1.0, ge=0)
    """Classifier-free guidance: null + cfg·(conditional - null); 1 is off."""
    cfg_start: float = Field(default=0.1, ge=0, le=1)
    """See `cfg_end`."""
    cfg_end: float = Field(default=1.0, ge=0, le=1)
    """Guided at times between the two, themselves excluded; a start of 0 is included."""
    noise_scale: float = Field(default=1.0, gt=0)
    """Standard deviation of the noise that sampling starts from (2 at 512 pixels)."""
    t_eps: float = Field(default=0.05, gt=0, lt=1)
    """Least 1 - t that the way to the predicted image is divided by."""

    @model_validator(mode="after")
    def _guides(self) -> Self:
        check_interval(self.cfg_start, self.cfg_end)
        return self
