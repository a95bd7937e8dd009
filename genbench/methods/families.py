"""The sampler families that genbench carries, and how a card's ``sampler`` names one. Imports no torch by itself."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from genbench.digest import digest_file
from genbench.errors import ConfigError, nearest, unknown
from genbench.schema import Strict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genbench.methods.latents.decoder import PixelDecoder
    from genbench.methods.noise import Noise


class Sampler(Protocol):
    """What a family's class must offer; ``settings`` is the model class of its presets."""

    @property
    def nfe(self) -> float | None:
        """Network evaluations an image in the latest call, guidance not doubled; none where nothing can be counted."""
        ...

    @property
    def parameters(self) -> int:
        """Parameters of every network that sampling uses."""
        ...

    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image for each of the N noise generators and labels (N,) int64: float32 (N, 3, H, W) in [-1, 1]."""
        ...


class SamplerClass(Protocol):
    """How a sampler is built from a card's variant."""

    def __call__(
        self, *, network: Mapping[str, Any], settings: Any, state: dict[str, Tensor] | None, device: torch.device
    ) -> Sampler:
        """`state` holds the tensors of the weight file, none if the variant names no file.

        Where the family has a tokenizer, the variant's decoder is given as `tokenizer` besides; where it finds its own
        files, their `folder`.
        """
        ...


class Family(NamedTuple):
    """A sampler class by import path, its settings, and the version of its arithmetic."""

    sampler: str
    """``module:Class``."""
    network: str | None
    """``module:Class`` of the pydantic model of its network's arguments; none when the class checks them itself."""
    settings: str | None
    """``module:Class`` of the pydantic model of its presets; none when the class takes a plain mapping."""
    version: str
    """Part of every run digest: changed when the same settings would give other pixels."""
    module: str | None = None
    """``module:Class`` of its network, which takes `network`'s arguments; none where `genbench validate` cannot build
    it without weights."""
    tiny: Mapping[str, Any] = MappingProxyType({})
    """Network arguments that make it small enough to be tried with random weights."""
    tokenizer: str | None = None
    """Decoder family whose codes it samples: the sampler is built with the variant's decoder as `tokenizer` too."""
    files: str | None = None
    """``module:function`` that finds a folder of files by the network's arguments, and its SHA-256, where the weights
    are more than one file: the sampler is built with it as `folder` too."""


SMALL_DIT: Mapping[str, Any] = MappingProxyType({"input_size": 8, "hidden_size": 32, "depth": 2, "num_heads": 2})

SMALL_DITDH: Mapping[str, Any] = MappingProxyType(
    {"input_size": 4, "in_channels": 8, "hidden_size": [16, 32], "depth": [2, 1], "num_heads": [2, 2]}
)

SMALL_UNET: Mapping[str, Any] = MappingProxyType(
    {"img_resolution": 8, "model_channels": 16, "channel_mult": [1, 4], "num_blocks": 1, "attn_resolutions": [4]}
)

SMALL_ADM: Mapping[str, Any] = MappingProxyType(
    {
        "image_size": 8,
        "num_channels": 32,
        "num_res_blocks": 1,
        "channel_mult": [1, 1],
        "attention_resolutions": [4],
        "num_head_channels": 16,
    }
)

SMALL_VAR: Mapping[str, Any] = MappingProxyType(
    {"depth": 2, "embed_dim": 16, "num_heads": 2, "patch_nums": [1, 2, 4], "vocab_size": 16384, "code_channels": 4}
)

SMALL_MAGE: Mapping[str, Any] = MappingProxyType(
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

FAMILIES: dict[str, Family] = {
    "consistency": Family(
        sampler="genbench.methods.consistency.sampler:ConsistencySampler",
        network="genbench.methods.adm.settings:ADMNetwork",
        settings="genbench.methods.consistency.settings:ConsistencySettings",
        version="1",
        module="genbench.methods.adm.network:ADMUNet",
        tiny=SMALL_ADM,
    ),
    "ctm": Family(
        sampler="genbench.methods.ctm.sampler:CTMSampler",
        network="genbench.methods.adm.settings:ADMNetwork",
        settings="genbench.methods.ctm.settings:CTMSettings",
        version="1",
        module="genbench.methods.ctm.network:CTMUNet",
        tiny=SMALL_ADM,
    ),
    "ctm-song": Family(
        sampler="genbench.methods.ctm.sampler:CTMSongSampler",
        network="genbench.methods.ctm.settings:CTMSongNetwork",
        settings="genbench.methods.ctm.settings:CTMSettings",
        version="1",
        module="genbench.methods.ctm.song:CTMSongUNet",
        tiny=SMALL_UNET,
    ),
    "d-ar": Family(
        sampler="genbench.methods.dar.sampler:DARSampler",
        network="genbench.methods.dar.settings:DARNetwork",
        settings="genbench.methods.dar.settings:DARSettings",
        version="1",
        module="genbench.methods.dar.network:DAR",
        tiny={"dim": 16, "n_layer": 2, "n_head": 2, "block_size": 16, "vocab_size": 16384, "multiple_of": 8},
        tokenizer="d-ar",
    ),
    "ddt": Family(
        sampler="genbench.methods.ddt.sampler:DDTSampler",
        network="genbench.methods.ddt.settings:DDTNetwork",
        settings="genbench.methods.ddt.settings:DDTSettings",
        version="1",
        module="genbench.methods.ddt.network:DDT",
        tiny={"input_size": 8, "hidden_size": 32, "num_groups": 2, "num_blocks": 3, "num_encoder_blocks": 2},
    ),
    "diffusers": Family(
        sampler="genbench.methods.pipelines.sampler:PipelineSampler",
        network="genbench.methods.pipelines.settings:PipelineSource",
        settings="genbench.methods.pipelines.settings:PipelineSettings",
        version="1",
        files="genbench.methods.pipelines.snapshot:find_pipeline",
    ),
    "dit": Family(
        sampler="genbench.methods.dit.sampler:DiTSampler",
        network="genbench.methods.dit.settings:DiTNetwork",
        settings="genbench.methods.dit.settings:DiTSettings",
        version="1",
        module="genbench.methods.dit.network:DiT",
        tiny=SMALL_DIT,
    ),
    "ect": Family(
        sampler="genbench.methods.ect.sampler:ECTSampler",
        network="genbench.methods.ect.settings:ECTNetwork",
        settings="genbench.methods.ect.settings:ECTSettings",
        version="1",
        module="genbench.methods.ect.network:ECTDenoiser",
        tiny=SMALL_UNET,
    ),
    "edm": Family(
        sampler="genbench.methods.edm.sampler:EDMSampler",
        network="genbench.methods.edm.settings:EDMNetwork",
        settings="genbench.methods.edm.settings:EDMSettings",
        version="1",
        module="genbench.methods.edm.network:EDMDenoiser",
        tiny=SMALL_UNET,
    ),
    "flowturbo": Family(
        sampler="genbench.methods.flowturbo.sampler:FlowTurboSampler",
        network="genbench.methods.flowturbo.settings:FlowTurboNetwork",
        settings="genbench.methods.flowturbo.settings:FlowTurboSettings",
        version="1",
        module="genbench.methods.flowturbo.network:FlowTurbo",
        tiny={
            **SMALL_DIT,
            "refiner": {**SMALL_DIT, "depth": 1, "patch_size": 2, "in_channels": 4, "num_classes": 1000},
        },
    ),
    "flexvar": Family(
        sampler="genbench.methods.flexvar.sampler:FlexVARSampler",
        network="genbench.methods.var.settings:VARNetwork",
        settings="genbench.methods.flexvar.settings:FlexVARSettings",
        version="1",
        module="genbench.methods.flexvar.network:FlexVAR",
        tiny=SMALL_VAR,
        tokenizer="llamagen",
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
        tiny=SMALL_DIT,
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
        tiny=SMALL_MAGE,
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
    "maskdit": Family(
        sampler="genbench.methods.maskdit.sampler:MaskDiTSampler",
        network="genbench.methods.maskdit.settings:MaskDiTNetwork",
        settings="genbench.methods.maskdit.settings:MaskDiTSettings",
        version="1",
        module="genbench.methods.maskdit.network:MaskDiTDenoiser",
        tiny={**SMALL_DIT, "decoder_hidden_size": 16, "decoder_depth": 1, "decoder_num_heads": 2},
    ),
    "mdt": Family(
        sampler="genbench.methods.mdt.sampler:MDTSampler",
        network="genbench.methods.mdt.settings:MDTNetwork",
        settings="genbench.methods.mdt.settings:MDTSettings",
        version="1",
        module="genbench.methods.mdt.network:MDTv2",
        tiny={**SMALL_DIT, "depth": 4, "decode_layer": 2},
    ),
    "meanflow": Family(
        sampler="genbench.methods.meanflow.sampler:MeanFlowSampler",
        network="genbench.methods.meanflow.settings:MeanFlowNetwork",
        settings="genbench.methods.meanflow.settings:MeanFlowSettings",
        version="1",
        module="genbench.methods.meanflow.network:MeanFlowSiT",
        tiny=SMALL_DIT,
    ),
    "meanflow-unet": Family(
        sampler="genbench.methods.meanflow.sampler:MeanFlowUNetSampler",
        network="genbench.methods.meanflow.settings:MeanFlowUNetNetwork",
        settings="genbench.methods.meanflow.settings:AverageVelocitySettings",
        version="1",
        module="genbench.methods.meanflow.unet:MeanFlowUNet",
        tiny=SMALL_UNET,
    ),
    "mf-rae": Family(
        sampler="genbench.methods.meanflow.sampler:MeanFlowDiTDHSampler",
        network="genbench.methods.meanflow.settings:MeanFlowDiTDHNetwork",
        settings="genbench.methods.meanflow.settings:AverageVelocitySettings",
        version="1",
        module="genbench.methods.meanflow.ditdh:MeanFlowDiTDH",
        tiny=SMALL_DITDH,
    ),
    "rcg": Family(
        sampler="genbench.methods.rcg.sampler:RCGSampler",
        network="genbench.methods.rcg.settings:RCGNetwork",
        settings="genbench.methods.rcg.settings:RCGSettings",
        version="1",
        module="genbench.methods.rcg.network:RCG",
        tiny={
            **SMALL_MAGE,
            "rdm": {"in_channels": 8, "time_embed_dim": 8, "model_channels": 16, "bottleneck_channels": 16},
        },
        tokenizer="mage",
    ),
    "rectified-flow": Family(
        sampler="genbench.methods.rectified_flow.sampler:RectifiedFlowSampler",
        network="genbench.methods.edm.settings:EDMNetwork",
        settings="genbench.methods.rectified_flow.settings:RectifiedFlowSettings",
        version="1",
        module="genbench.methods.edm.network:EDMDenoiser",
        tiny=SMALL_UNET,
    ),
    "redi": Family(
        sampler="genbench.methods.redi.sampler:ReDiSampler",
        network="genbench.methods.redi.settings:ReDiNetwork",
        settings="genbench.methods.sit.settings:SiTSettings",
        version="1",
        module="genbench.methods.redi.network:JointSiT",
        tiny=SMALL_DIT,
    ),
    "repa": Family(
        sampler="genbench.methods.repa.sampler:REPASampler",
        network="genbench.methods.repa.settings:REPANetwork",
        settings="genbench.methods.repa.settings:REPASettings",
        version="1",
        module="genbench.methods.repa.network:RepresentationAlignedSiT",
        tiny=SMALL_DIT,
    ),
    "rae": Family(
        sampler="genbench.methods.rae.sampler:RAESampler",
        network="genbench.methods.rae.settings:DiTDHNetwork",
        settings="genbench.methods.rae.settings:RAESettings",
        version="1",
        module="genbench.methods.rae.network:DiTDH",
        tiny=SMALL_DITDH,
    ),
    "raev2": Family(
        sampler="genbench.methods.raev2.sampler:RAEv2Sampler",
        network="genbench.methods.raev2.settings:RAEv2Network",
        settings="genbench.methods.raev2.settings:RAEv2Settings",
        version="1",
        module="genbench.methods.raev2.network:InContextDiTDH",
        tiny={**SMALL_DITDH, "base_model_depth": 1},
    ),
    "sfd": Family(
        sampler="genbench.methods.sfd.sampler:SFDSampler",
        network="genbench.methods.sfd.settings:SFDNetwork",
        settings="genbench.methods.sfd.settings:SFDSettings",
        version="1",
        module="genbench.methods.sfd.network:SemanticFirstDiT",
        tiny=SMALL_DIT,
    ),
    "sid": Family(
        sampler="genbench.methods.sid.sampler:SiDSampler",
        network="genbench.methods.edm.settings:EDMNetwork",
        settings="genbench.methods.sid.settings:SiDSettings",
        version="1",
        module="genbench.methods.edm.network:EDMDenoiser",
        tiny=SMALL_UNET,
    ),
    "sit": Family(
        sampler="genbench.methods.sit.sampler:SiTSampler",
        network="genbench.methods.dit.settings:DiTNetwork",
        settings="genbench.methods.sit.settings:SiTSettings",
        version="1",
        module="genbench.methods.dit.network:DiT",
        tiny=SMALL_DIT,
    ),
    "var": Family(
        sampler="genbench.methods.var.sampler:VARSampler",
        network="genbench.methods.var.settings:VARNetwork",
        settings="genbench.methods.var.settings:VARSettings",
        version="1",
        module="genbench.methods.var.network:VAR",
        tiny=SMALL_VAR,
        tokenizer="var",
    ),
}


ENTRY_POINTS = "genbench.samplers"
"""Entry-point group by which installed packages offer sampler classes, each under a family's name."""


def family(name: str, where: str) -> Family:
    """The family of that name: genbench's, an installed package's, or the user's own class as ``module:Class``.

    The version of a class that is not genbench's is the SHA-256 of the file that defines it, so that editing it changes
    run digests.
    Raises `UsageError` for an unknown family, and `ConfigError` for a class that cannot be imported or has no source.
    """
    if ":" not in name:
        if name in FAMILIES:
            return FAMILIES[name]
        offered = {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}
        if name not in offered:
            raise unknown("sampler family", name, [*FAMILIES, *offered], where=where)
        name = offered[name]
    target = import_object(name, where)
    try:
        source = inspect.getsourcefile(target)
    except TypeError:  # not a class or function, or one written in C
        source = None
    if source is None:
        raise ConfigError(
            f"{where}: sampler {name!r} is not a class of a Python file",
            hint="define the sampler class in a .py file: a run's digest covers that file",
        )
    return Family(name, None, None, digest_file(Path(source)))


def import_object(path: str, where: str) -> Any:
    """The object at ``module:name``.

    Raises `ConfigError` naming the card when it cannot be imported.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), name]):
        raise ConfigError(f"{where}: sampler {path!r} is not module:Class", hint="for example my_package.sampler:Mine")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where}: sampler {path!r}: no module named {error.name!r}",
            hint="put the module's folder on PYTHONPATH, or install it",
        ) from error
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"{where}: sampler {path!r}: {error}", hint=f"correct module {module_name}") from error
    if not hasattr(module, name):
        close = nearest(name, [known for known in vars(module) if not known.startswith("_")])
        raise ConfigError(
            f"{where}: sampler {path!r}: module {module_name!r} has no {name!r}",
            hint=f"did you mean {' or '.join(close)}?" if close else "name an existing class",
        )
    return getattr(module, name)


def network_model(chosen: Family, where: str) -> type[Strict] | None:
    """The pydantic model of a family's network arguments."""
    return import_object(chosen.network, where) if chosen.network else None


def settings_model(chosen: Family, where: str) -> type[Strict] | None:
    """The pydantic model of a family's presets."""
    return import_object(chosen.settings, where) if chosen.settings else None


def build_sampler(
    chosen: Family,
    where: str,
    *,
    network: Mapping[str, Any],
    settings: Mapping[str, Any],
    state: dict[str, Tensor] | None,
    device: torch.device,
    decoder: PixelDecoder | None,
    folder: Path | None = None,
) -> Sampler:
    """A family's sampler of one preset; `decoder` is the variant's, which a sampler of codes takes too.

    `folder` holds the files of a family that finds them itself.

    Raises what the class raises.
    """
    model = settings_model(chosen, where)
    build: SamplerClass = import_object(chosen.sampler, where)
    return build(
        network=network,
        settings=model.model_validate(settings) if model else dict(settings),
        state=state,
        device=device,
        **({"tokenizer": decoder} if chosen.tokenizer else {}),
        **({"folder": folder} if chosen.files else {}),
    )
