"""What a card may say about MDTv2's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.methods.dit.settings import DiTSettings
from genbench.methods.settings import TransformerNetwork


class MDTNetwork(TransformerNetwork):
    """Arguments of `genbench.methods.mdt.network.MDTv2`, which explains them."""

    learn_sigma: bool = True
    decode_layer: int = Field(gt=0)

    @model_validator(mode="after")
    def _halves(self) -> Self:
        if self.decode_layer >= self.depth or (self.depth - self.decode_layer) % 2:
            raise ValueError(f"depth {self.depth} less decode_layer {self.decode_layer} is no even number of blocks")
        return self


class MDTSettings(DiTSettings):
    """Settings as the authors count and name them (MDT, ``image_sample.py``): DiT's, with a schedule of guidance."""

    cfg: float = Field(default=3.8, ge=0)
    """Classifier-free guidance at training step 0, null + cfg·(conditional - null); 1 is off."""
    scale_pow: float = Field(default=4.0, gt=0)
    """At training step t of 1000 it is 1 + (cfg - 1)·(1 - cos(π·(1 - t/1000)^scale_pow))/2: off in pure noise."""
