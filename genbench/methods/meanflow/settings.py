"""What a card may say about MeanFlow's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from genbench.methods.dit.settings import DiTNetwork
from genbench.methods.settings import NetworkSettings


class MeanFlowNetwork(DiTNetwork):
    """Arguments of `genbench.methods.meanflow.network.MeanFlowSiT`."""

    learn_sigma: Literal[False]
    """These networks have no variance half."""


class MeanFlowSettings(NetworkSettings):
    """Settings of MeanFlow's sampler; t = 1 is noise."""

    steps: int = Field(default=1, ge=1)
    """Equal steps from 1 to 0, one evaluation each."""
    cfg: float = Field(default=1.0, ge=1)
    """Classifier-free guidance of all channels; 1 is off, and right for networks that were trained with guidance."""
