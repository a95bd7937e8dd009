"""What a card may say about MaskDiT's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.methods.edm.settings import EDMSettings
from genbench.methods.settings import TransformerNetwork, check_divides


class MaskDiTNetwork(TransformerNetwork):
    """Arguments of `genbench.methods.maskdit.network.MaskDiT`, which explains them."""

    decoder_hidden_size: int = Field(default=512, gt=0, multiple_of=4)
    decoder_depth: int = Field(default=8, gt=0)
    decoder_num_heads: int = Field(default=16, gt=0)

    @model_validator(mode="after")
    def _decodes(self) -> Self:
        check_divides(self, "decoder_num_heads", "decoder_hidden_size")
        return self


class MaskDiTSettings(EDMSettings):
    """Settings of EDM's sampler as MaskDiT's authors use it (``sample.py``)."""

    steps: int = Field(default=40, ge=2)
    """Noise levels above 0: Heun's method makes 2·steps - 1 evaluations."""
    cfg: float = Field(default=1.0, ge=0)
    """Classifier-free guidance of all channels: null + cfg·(conditional - null); 1 is off."""
