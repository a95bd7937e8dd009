"""What a card may say about LightningDiT's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.settings import NetworkSettings, TransformerNetwork, check_rotary


class LightningDiTNetwork(TransformerNetwork):
    """Arguments of `genbench.methods.lightningdit.network.LightningDiT`, which explains them."""

    learn_sigma: bool = False
    use_qknorm: bool = False
    use_swiglu: bool = False
    use_rope: bool = False
    use_rmsnorm: bool = False
    wo_shift: bool = False

    @model_validator(mode="after")
    def _rotates(self) -> Self:
        if self.use_rope:
            check_rotary(self.hidden_size, self.num_heads)
        return self


class LightningDiTSettings(NetworkSettings):
    """Settings as the authors count and name them (LightningDiT, ``inference.py`` and its configurations)."""

    steps: int = Field(default=250, ge=2)
    """Points of the time grid: ``steps - 1`` steps."""
    integrator: Literal["euler", "heun", "midpoint"] = "euler"
    """Rule of every step."""
    shift: float = Field(default=0.3, gt=0)
    """Times t are moved to shift·t / (1 + (shift - 1)·t); 1 leaves them."""
    cfg: float = Field(default=1.0, ge=0)
    """Classifier-free guidance: null + cfg·(conditional - null); 1 is off."""
    cfg_start: float = Field(default=0.0, ge=0, le=1)
    """Guided from this time on, itself included."""
    cfg_channels: int | None = Field(default=3, ge=1)
    """How many of the first channels are guided (the authors guide three of 32); none for all."""
