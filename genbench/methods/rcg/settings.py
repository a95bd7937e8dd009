"""What a card may say about RCG's networks, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.methods.mage.settings import MAGENetwork, MAGESettings
from genbench.methods.respacing import TRAINING_STEPS, shifted_steps
from genbench.schema import Strict


class RDMNetwork(Strict):
    """Arguments of `genbench.methods.rcg.rdm.RDM`, which explains them."""

    in_channels: int = Field(default=256, gt=1)
    time_embed_dim: int = Field(default=256, gt=0)
    model_channels: int = Field(default=1536, gt=0, multiple_of=2)
    bottleneck_channels: int = Field(default=1536, gt=0)
    num_res_blocks: int = Field(default=12, gt=0)
    n_classes: int | None = Field(default=None, gt=0)
    context_channels: int = Field(default=512, gt=0)
    linear_start: float = Field(default=0.0015, gt=0, lt=1)
    linear_end: float = Field(default=0.0195, gt=0, lt=1)


class RCGNetwork(MAGENetwork):
    """Arguments of `genbench.methods.rcg.network.RCG`, which explains them."""

    rdm: RDMNetwork


class RCGSettings(MAGESettings):
    """Settings as the authors count and name them (RCG, ``main_mage.py``)."""

    cfg: float = Field(default=0.0, ge=0)
    """Guidance of a code's logits by the representation: conditional + w·(conditional - null), w rising linearly from
    cfg/num_iter to cfg over the iterations; 0 is off."""
    rdm_steps: int = Field(default=250, ge=2, le=TRAINING_STEPS)
    """Steps in which the representation is drawn, of the 1000 of training."""
    eta: float = Field(default=1.0, ge=0, le=1)
    """Size of the noise of such a step: 0 is deterministic, 1 as large as DDPM's."""

    @model_validator(mode="after")
    def _steps_exist(self) -> Self:
        shifted_steps(self.rdm_steps)
        return self
