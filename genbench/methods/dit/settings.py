"""What a card may say about the DiT network. Imports no torch."""

from __future__ import annotations

from pydantic import Field, model_validator

from genbench.schema import Strict


class DiTNetwork(Strict):
    """Arguments of `genbench.methods.dit.network.DiT`, which explains them."""

    input_size: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: int = Field(gt=0, multiple_of=4)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    num_classes: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    learn_sigma: bool = True

    @model_validator(mode="after")
    def _divides(self) -> DiTNetwork:
        if self.input_size % self.patch_size:
            raise ValueError(f"patch_size {self.patch_size} does not divide input_size {self.input_size}")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} does not divide hidden_size {self.hidden_size}")
        return self
