"""What a card may say about MeanFlow's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from genbench.methods.dit.settings import DiTNetwork
from genbench.methods.edm.settings import EncoderType, Taps, UNetFrame
from genbench.methods.rae.settings import DiTDHNetwork
from genbench.methods.settings import NetworkSettings


class MeanFlowNetwork(DiTNetwork):
    """Arguments of `genbench.methods.meanflow.network.MeanFlowSiT`."""

    learn_sigma: Literal[False]
    """These networks have no variance half."""


class MeanFlowUNetNetwork(UNetFrame):
    """Arguments of `genbench.methods.meanflow.unet.MeanFlowUNet`."""

    in_channels: int = Field(gt=0)
    out_channels: int = Field(gt=0)
    channel_mult_noise: int = Field(gt=0)
    """Channels of each time's embedding, in units of `model_channels`."""
    encoder_type: EncoderType
    resample_filter: Taps


class MeanFlowDiTDHNetwork(DiTDHNetwork):
    """Arguments of `genbench.methods.meanflow.ditdh.MeanFlowDiTDH`."""

    guide: None = None
    """These networks are sampled without guidance."""


class AverageVelocitySettings(NetworkSettings):
    """Settings of every MeanFlow network's sampler; t = 1 is noise."""

    steps: int = Field(default=1, ge=1)
    """Equal steps from 1 to 0, one evaluation each."""


class MeanFlowSettings(AverageVelocitySettings):
    """Settings of MeanFlow's sampler with classes."""

    cfg: float = Field(default=1.0, ge=1)
    """Classifier-free guidance of all channels; 1 is off, and right for networks that were trained with guidance."""
