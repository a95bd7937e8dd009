"""Diffusion, consistency and flow models on U-Nets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from genbench.methods.catalog.family import Family

_SMALL_ADM: Mapping[str, Any] = MappingProxyType(
    {
        "image_size": 8,
        "num_channels": 32,
        "num_res_blocks": 1,
        "channel_mult": [1, 1],
        "attention_resolutions": [4],
        "num_head_channels": 16,
    }
)

_SMALL_UNET: Mapping[str, Any] = MappingProxyType(
    {"img_resolution": 8, "model_channels": 16, "channel_mult": [1, 4], "num_blocks": 1, "attn_resolutions": [4]}
)

UNETS: dict[str, Family] = {
    "consistency": Family(
        sampler="genbench.methods.consistency.sampler:ConsistencySampler",
        network="genbench.methods.adm.settings:ADMNetwork",
        settings="genbench.methods.consistency.settings:ConsistencySettings",
        version="1",
        module="genbench.methods.adm.network:ADMUNet",
        tiny=_SMALL_ADM,
    ),
    "ctm": Family(
        sampler="genbench.methods.ctm.sampler:CTMSampler",
        network="genbench.methods.adm.settings:ADMNetwork",
        settings="genbench.methods.ctm.settings:CTMSettings",
        version="1",
        module="genbench.methods.ctm.network:CTMUNet",
        tiny=_SMALL_ADM,
    ),
    "ctm-song": Family(
        sampler="genbench.methods.ctm.sampler:CTMSongSampler",
        network="genbench.methods.ctm.settings:CTMSongNetwork",
        settings="genbench.methods.ctm.settings:CTMSettings",
        version="1",
        module="genbench.methods.ctm.song:CTMSongUNet",
        tiny=_SMALL_UNET,
    ),
    "ect": Family(
        sampler="genbench.methods.ect.sampler:ECTSampler",
        network="genbench.methods.ect.settings:ECTNetwork",
        settings="genbench.methods.ect.settings:ECTSettings",
        version="1",
        module="genbench.methods.ect.network:ECTDenoiser",
        tiny=_SMALL_UNET,
    ),
    "edm": Family(
        sampler="genbench.methods.edm.sampler:EDMSampler",
        network="genbench.methods.edm.settings:EDMNetwork",
        settings="genbench.methods.edm.settings:EDMSettings",
        version="1",
        module="genbench.methods.edm.network:EDMDenoiser",
        tiny=_SMALL_UNET,
    ),
    "meanflow-unet": Family(
        sampler="genbench.methods.meanflow.sampler:MeanFlowUNetSampler",
        network="genbench.methods.meanflow.settings:MeanFlowUNetNetwork",
        settings="genbench.methods.meanflow.settings:AverageVelocitySettings",
        version="1",
        module="genbench.methods.meanflow.unet:MeanFlowUNet",
        tiny=_SMALL_UNET,
    ),
    "rectified-flow": Family(
        sampler="genbench.methods.rectified_flow.sampler:RectifiedFlowSampler",
        network="genbench.methods.edm.settings:EDMNetwork",
        settings="genbench.methods.rectified_flow.settings:RectifiedFlowSettings",
        version="1",
        module="genbench.methods.edm.network:EDMDenoiser",
        tiny=_SMALL_UNET,
    ),
    "sid": Family(
        sampler="genbench.methods.sid.sampler:SiDSampler",
        network="genbench.methods.edm.settings:EDMNetwork",
        settings="genbench.methods.sid.settings:SiDSettings",
        version="1",
        module="genbench.methods.edm.network:EDMDenoiser",
        tiny=_SMALL_UNET,
    ),
}
