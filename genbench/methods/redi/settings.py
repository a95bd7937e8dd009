"""What a card may say about ReDi's network. Its presets are SiT's. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.dit.settings import DiTNetwork


class ReDiNetwork(DiTNetwork):
    """Arguments of `genbench.methods.redi.network.JointSiT`, which explains them."""

    learn_sigma: Literal[False]
    """These networks have no variance half."""
    pca_rank: int = Field(gt=0)

    @model_validator(mode="after")
    def _has_latent(self) -> Self:
        if self.pca_rank >= self.in_channels:
            raise ValueError(f"pca_rank {self.pca_rank} of {self.in_channels} channels leaves no latent")
        return self
