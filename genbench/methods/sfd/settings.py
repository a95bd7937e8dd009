"""What a card may say about SFD's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.lightningdit.settings import LightningDiTNetwork
from genbench.methods.settings import ContrastSettings


class SFDNetwork(LightningDiTNetwork):
    """Arguments of `genbench.methods.sfd.network.SemanticFirstDiT`, which explains them."""

    learn_sigma: Literal[False] = False
    """These networks have no variance half."""
    semantic_chans: int = Field(gt=0)
    semfirst_delta_t: float = Field(gt=0, lt=1)
    guide: SFDNetwork | None = None

    @model_validator(mode="after")
    def _has_texture(self) -> Self:
        if self.semantic_chans >= self.in_channels:
            raise ValueError(f"semantic_chans {self.semantic_chans} of {self.in_channels} channels leave no texture")
        if self.guide is not None and self.guide.guide is not None:
            raise ValueError("a guide has no guide of its own")
        return self


class SFDSettings(ContrastSettings):
    """Settings as the authors name them (SFD, ``inference.py`` and its configurations)."""

    rtol: float = Field(default=1e-3, gt=0)
    """See `atol`."""
    atol: float = Field(default=1e-6, gt=0)
    """Tolerances of the adaptive Dormand-Prince solver."""
