"""Diffusion and flow transformers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from genbench.methods.catalog.family import Family

_SMALL_DIT: Mapping[str, Any] = MappingProxyType({"input_size": 8, "hidden_size": 32, "depth": 2, "num_heads": 2})

_SMALL_DITDH: Mapping[str, Any] = MappingProxyType(
    {"input_size": 4, "in_channels": 8, "hidden_size": [16, 32], "depth": [2, 1], "num_heads": [2, 2]}
)

TRANSFORMERS: dict[str, Family] = {
    "ddt": Family(
        sampler="genbench.methods.ddt.sampler:DDTSampler",
        network="genbench.methods.ddt.settings:DDTNetwork",
        settings="genbench.methods.ddt.settings:DDTSettings",
        version="1",
        module="genbench.methods.ddt.network:DDT",
        tiny={"input_size": 8, "hidden_size": 32, "num_groups": 2, "num_blocks": 3, "num_encoder_blocks": 2},
    ),
    "dit": Family(
        sampler="genbench.methods.dit.sampler:DiTSampler",
        network="genbench.methods.dit.settings:DiTNetwork",
        settings="genbench.methods.dit.settings:DiTSettings",
        version="1",
        module="genbench.methods.dit.network:DiT",
        tiny=_SMALL_DIT,
    ),
    "flowturbo": Family(
        sampler="genbench.methods.flowturbo.sampler:FlowTurboSampler",
        network="genbench.methods.flowturbo.settings:FlowTurboNetwork",
        settings="genbench.methods.flowturbo.settings:FlowTurboSettings",
        version="1",
        module="genbench.methods.flowturbo.network:FlowTurbo",
        tiny={
            **_SMALL_DIT,
            "refiner": {**_SMALL_DIT, "depth": 1, "patch_size": 2, "in_channels": 4, "num_classes": 1000},
        },
    ),
    "jit": Family(
        sampler="genbench.methods.jit.sampler:JiTSampler",
        network="genbench.methods.jit.settings:JiTNetwork",
        settings="genbench.methods.jit.settings:JiTSettings",
        version="1",
        module="genbench.methods.jit.network:JiT",
        tiny={
            "input_size": 64,
            "hidden_size": 32,
            "depth": 2,
            "num_heads": 2,
            "bottleneck_dim": 8,
            "in_context_len": 4,
            "in_context_start": 1,
        },
    ),
    "lightningdit": Family(
        sampler="genbench.methods.lightningdit.sampler:LightningDiTSampler",
        network="genbench.methods.lightningdit.settings:LightningDiTNetwork",
        settings="genbench.methods.lightningdit.settings:LightningDiTSettings",
        version="1",
        module="genbench.methods.lightningdit.network:LightningDiT",
        tiny=_SMALL_DIT,
    ),
    "maskdit": Family(
        sampler="genbench.methods.maskdit.sampler:MaskDiTSampler",
        network="genbench.methods.maskdit.settings:MaskDiTNetwork",
        settings="genbench.methods.maskdit.settings:MaskDiTSettings",
        version="1",
        module="genbench.methods.maskdit.network:MaskDiTDenoiser",
        tiny={**_SMALL_DIT, "decoder_hidden_size": 16, "decoder_depth": 1, "decoder_num_heads": 2},
    ),
    "mdt": Family(
        sampler="genbench.methods.mdt.sampler:MDTSampler",
        network="genbench.methods.mdt.settings:MDTNetwork",
        settings="genbench.methods.mdt.settings:MDTSettings",
        version="1",
        module="genbench.methods.mdt.network:MDTv2",
        tiny={**_SMALL_DIT, "depth": 4, "decode_layer": 2},
    ),
    "meanflow": Family(
        sampler="genbench.methods.meanflow.sampler:MeanFlowSampler",
        network="genbench.methods.meanflow.settings:MeanFlowNetwork",
        settings="genbench.methods.meanflow.settings:MeanFlowSettings",
        version="1",
        module="genbench.methods.meanflow.network:MeanFlowSiT",
        tiny=_SMALL_DIT,
    ),
    "mf-rae": Family(
        sampler="genbench.methods.meanflow.sampler:MeanFlowDiTDHSampler",
        network="genbench.methods.meanflow.settings:MeanFlowDiTDHNetwork",
        settings="genbench.methods.meanflow.settings:AverageVelocitySettings",
        version="1",
        module="genbench.methods.meanflow.ditdh:MeanFlowDiTDH",
        tiny=_SMALL_DITDH,
    ),
    "rae": Family(
        sampler="genbench.methods.rae.sampler:RAESampler",
        network="genbench.methods.rae.settings:DiTDHNetwork",
        settings="genbench.methods.rae.settings:RAESettings",
        version="1",
        module="genbench.methods.rae.network:DiTDH",
        tiny=_SMALL_DITDH,
    ),
    "raev2": Family(
        sampler="genbench.methods.raev2.sampler:RAEv2Sampler",
        network="genbench.methods.raev2.settings:RAEv2Network",
        settings="genbench.methods.raev2.settings:RAEv2Settings",
        version="1",
        module="genbench.methods.raev2.network:InContextDiTDH",
        tiny={**_SMALL_DITDH, "base_model_depth": 1},
    ),
    "redi": Family(
        sampler="genbench.methods.redi.sampler:ReDiSampler",
        network="genbench.methods.redi.settings:ReDiNetwork",
        settings="genbench.methods.sit.settings:SiTSettings",
        version="1",
        module="genbench.methods.redi.network:JointSiT",
        tiny=_SMALL_DIT,
    ),
    "repa": Family(
        sampler="genbench.methods.repa.sampler:REPASampler",
        network="genbench.methods.repa.settings:REPANetwork",
        settings="genbench.methods.repa.settings:REPASettings",
        version="1",
        module="genbench.methods.repa.network:RepresentationAlignedSiT",
        tiny=_SMALL_DIT,
    ),
    "sfd": Family(
        sampler="genbench.methods.sfd.sampler:SFDSampler",
        network="genbench.methods.sfd.settings:SFDNetwork",
        settings="genbench.methods.sfd.settings:SFDSettings",
        version="1",
        module="genbench.methods.sfd.network:SemanticFirstDiT",
        tiny=_SMALL_DIT,
    ),
    "sit": Family(
        sampler="genbench.methods.sit.sampler:SiTSampler",
        network="genbench.methods.dit.settings:DiTNetwork",
        settings="genbench.methods.sit.settings:SiTSettings",
        version="1",
        module="genbench.methods.dit.network:DiT",
        tiny=_SMALL_DIT,
    ),
}
