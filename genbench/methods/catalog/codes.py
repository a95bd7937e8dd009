"""Models of tokens: they sample the codes, or the latents, of a tokenizer one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from genbench.methods.catalog.family import Family

_SMALL_MAGE: Mapping[str, Any] = MappingProxyType(
    {
        "embed_dim": 16,
        "depth": 1,
        "num_heads": 2,
        "decoder_embed_dim": 16,
        "decoder_depth": 1,
        "decoder_num_heads": 2,
        "img_size": 64,
    }
)

_SMALL_VAR: Mapping[str, Any] = MappingProxyType(
    {"depth": 2, "embed_dim": 16, "num_heads": 2, "patch_nums": [1, 2, 4], "vocab_size": 16384, "code_channels": 4}
)

CODES: dict[str, Family] = {
    "d-ar": Family(
        sampler="genbench.methods.dar.sampler:DARSampler",
        network="genbench.methods.dar.settings:DARNetwork",
        settings="genbench.methods.dar.settings:DARSettings",
        version="1",
        module="genbench.methods.dar.network:DAR",
        tiny={"dim": 16, "n_layer": 2, "n_head": 2, "block_size": 16, "vocab_size": 16384, "multiple_of": 8},
        tokenizer="d-ar",
    ),
    "flexvar": Family(
        sampler="genbench.methods.flexvar.sampler:FlexVARSampler",
        network="genbench.methods.var.settings:VARNetwork",
        settings="genbench.methods.flexvar.settings:FlexVARSettings",
        version="1",
        module="genbench.methods.flexvar.network:FlexVAR",
        tiny=_SMALL_VAR,
        tokenizer="llamagen",
    ),
    "llamagen": Family(
        sampler="genbench.methods.llamagen.sampler:LlamaGenSampler",
        network="genbench.methods.llamagen.settings:LlamaGenNetwork",
        settings="genbench.methods.llamagen.settings:LlamaGenSettings",
        version="1",
        module="genbench.methods.llamagen.network:LlamaGen",
        tiny={"dim": 16, "n_layer": 2, "n_head": 2, "block_size": 16, "vocab_size": 16384, "multiple_of": 8},
        tokenizer="llamagen",
    ),
    "mage": Family(
        sampler="genbench.methods.mage.sampler:MAGESampler",
        network="genbench.methods.mage.settings:MAGENetwork",
        settings="genbench.methods.mage.settings:MAGESettings",
        version="1",
        module="genbench.methods.mage.network:MAGE",
        tiny=_SMALL_MAGE,
        tokenizer="mage",
    ),
    "mar": Family(
        sampler="genbench.methods.mar.sampler:MARSampler",
        network="genbench.methods.mar.settings:MARNetwork",
        settings="genbench.methods.mar.settings:MARSettings",
        version="1",
        module="genbench.methods.mar.network:MAR",
        tiny={
            "img_size": 32,
            "encoder_embed_dim": 16,
            "encoder_depth": 1,
            "encoder_num_heads": 2,
            "decoder_embed_dim": 16,
            "decoder_depth": 1,
            "decoder_num_heads": 2,
            "diffloss_d": 1,
            "diffloss_w": 16,
            "buffer_size": 2,
        },
    ),
    "rcg": Family(
        sampler="genbench.methods.rcg.sampler:RCGSampler",
        network="genbench.methods.rcg.settings:RCGNetwork",
        settings="genbench.methods.rcg.settings:RCGSettings",
        version="1",
        module="genbench.methods.rcg.network:RCG",
        tiny={
            **_SMALL_MAGE,
            "rdm": {"in_channels": 8, "time_embed_dim": 8, "model_channels": 16, "bottleneck_channels": 16},
        },
        tokenizer="mage",
    ),
    "var": Family(
        sampler="genbench.methods.var.sampler:VARSampler",
        network="genbench.methods.var.settings:VARNetwork",
        settings="genbench.methods.var.settings:VARSettings",
        version="1",
        module="genbench.methods.var.network:VAR",
        tiny=_SMALL_VAR,
        tokenizer="var",
    ),
}
