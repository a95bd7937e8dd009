"""What a card may say about the DiT network, and settings of DiT's presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from genbench.methods.respacing import TRAINING_STEPS, Spacing, retained_steps
from genbench.methods.settings import NetworkSettings, TransformerNetwork


class DiTNetwork(TransformerNetwork):
    """Arguments of `genbench.methods.dit.network.DiT`, which explains them."""

    learn_sigma: bool = True
    qk_norm: bool = False


class DiTSettings(NetworkSettings):
    """Settings as the authors count and name them (DiT, ``sample_ddp.py`` and ``diffusion/``)."""

    mode: Literal["ddpm", "ddim"] = "ddpm"
    """Ancestral sampling with the learned variance, or DDIM's update (Song et al., arXiv:2010.02502)."""
    steps: int = Field(default=250, ge=2, le=TRAINING_STEPS)
    """Retained steps, each one evaluation."""
    spacing: Spacing = "even"
    """Of the retained steps; ``stride`` is what the authors write ``ddimN``."""
    eta: float = Field(default=0.0, ge=0, le=1)
    """Size of DDIM's noise: 0 is deterministic, 1 as large as DDPM's."""
    clip: bool = False
    """Clip every estimate of the data to [-1, 1]; the authors do not, in latent space."""
    cfg: float = Field(default=1.5, ge=0)
    """Classifier-free guidance: null + cfg·(conditional - null); 1 is off."""
    cfg_channels: int | None = Field(default=3, ge=1)
    """How many of the first channels of the noise estimate are guided (the authors guide three of four); none for
    all. The variance is never guided."""

    @model_validator(mode="after")
    def _stride_exists(self) -> DiTSettings:
        retained_steps(self.steps, self.spacing)
        return self
