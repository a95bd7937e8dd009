"""Reference vectors: what the authors' code computed with a small network, replayed through genbench's.

A folder of vectors holds ``config.json`` (constructor arguments, forward cases), ``sampler.json`` (settings of each
run, as the authors name them), state files, and ``forward`` and ``sampler.safetensors`` (inputs, recorded draws,
results). Each family's ``vectors.py`` knows its own; this module finds the one that a folder is for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from genbench.errors import ConfigError, unknown
from genbench.methods.families import import_object
from genbench.methods.full_size import FullSize
from genbench.schema import load_json
from genbench.weights import load_tensors

TOLERANCE = 1e-4
"""Largest difference that agrees, for references within [-1, 1]; larger references allow as much more."""

REPLAYS = {
    "consistency": "genbench.methods.consistency.vectors:replay",
    "consistency_diffusers": "genbench.methods.consistency.vectors:replay_diffusers",
    "ctm": "genbench.methods.ctm.vectors:replay",
    "ctm_song": "genbench.methods.ctm.vectors:replay_song",
    "d-ar": "genbench.methods.dar.vectors:replay",
    "ddt": "genbench.methods.ddt.vectors:replay",
    "jit": "genbench.methods.jit.vectors:replay",
    "lightningdit": "genbench.methods.lightningdit.vectors:replay",
    "dit": "genbench.methods.dit.vectors:replay",
    "ect": "genbench.methods.ect.vectors:replay",
    "edm": "genbench.methods.edm.vectors:replay",
    "flowturbo": "genbench.methods.flowturbo.vectors:replay",
    "flexvar": "genbench.methods.flexvar.vectors:replay",
    "haste": "genbench.methods.repa.vectors:replay",
    "irepa": "genbench.methods.repa.vectors:replay",
    "llamagen": "genbench.methods.llamagen.vectors:replay",
    "mage": "genbench.methods.mage.vectors:replay",
    "mar": "genbench.methods.mar.vectors:replay",
    "maskdit": "genbench.methods.maskdit.vectors:replay",
    "mdt": "genbench.methods.mdt.vectors:replay",
    "mf": "genbench.methods.meanflow.vectors:replay",
    "mf_rae": "genbench.methods.meanflow.vectors:replay_ditdh",
    "mf_unet": "genbench.methods.meanflow.vectors:replay_unet",
    "raev2": "genbench.methods.raev2.vectors:replay",
    "rcg": "genbench.methods.rcg.vectors:replay",
    "redi": "genbench.methods.redi.vectors:replay",
    "repa": "genbench.methods.repa.vectors:replay",
    "repa_e": "genbench.methods.repa.vectors:replay",
    "sdvae": "genbench.methods.latents.vectors:replay_sd",
    "rae": "genbench.methods.rae.vectors:replay",
    "rfpp": "genbench.methods.rectified_flow.vectors:replay",
    "sfd": "genbench.methods.sfd.vectors:replay",
    "sid": "genbench.methods.sid.vectors:replay",
    "sit": "genbench.methods.sit.vectors:replay",
    "var": "genbench.methods.var.vectors:replay",
    "vavae": "genbench.methods.latents.vectors:replay_ldm",
}
"""``module:function`` that replays the vectors of a family, of type ``Vectors -> Iterator[Comparison]``."""

FULL_SIZE = {
    "consistency": "genbench.methods.consistency.vectors:replay_full_size",
    "edm": "genbench.methods.edm.vectors:replay_full_size",
    "llamagen": "genbench.methods.llamagen.vectors:replay_full_size",
    "var": "genbench.methods.var.vectors:replay_full_size",
}
"""``module:function`` that replays a full-size network of a family, of type ``FullSize -> Iterator[Comparison]``."""

_INTEGRATORS = {"heun2": "heun"}
"""torchdiffeq's names where they are not genbench's."""

_UPSTREAMS = {
    "diffusers": "consistency_diffusers",
    "https://github.com/openai/consistency_models": "consistency",
    "https://github.com/sony/ctm": "ctm",
    "https://github.com/FoundationVision/LlamaGen": "llamagen",
    "https://github.com/FoundationVision/VAR": "var",
    "https://github.com/LTH14/mage": "mage",
    "https://github.com/LTH14/mar": "mar",
    "https://github.com/LTH14/rcg": "rcg",
    "https://github.com/NVlabs/edm": "edm",
    "https://github.com/locuslab/ect": "ect",
}
"""Families of folders that name only the authors' repository, or the library that computed them."""


class Comparison(NamedTuple):
    """One recorded result beside genbench's."""

    name: str
    """Forward case or sampler run."""
    difference: float
    """Largest absolute difference; NaN where either side is."""
    scale: float
    """max(1, largest absolute value of the reference)."""
    draws_left: int = 0
    """Recorded draws that the run did not use."""

    @property
    def bound(self) -> float:
        """Largest difference that agrees."""
        return TOLERANCE * self.scale

    @property
    def agrees(self) -> bool:
        """Within the bound."""
        return self.difference <= self.bound


class Vectors:
    """A folder of vectors, read as it is asked for.

    Raises `ConfigError` for what is missing or not JSON, and `WeightsError` for tensors that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = self.json("config.json")
        if not isinstance(self.config, dict):
            raise ConfigError(f"{folder / 'config.json'}: not an object", hint="name a folder of vectors")

    @property
    def family(self) -> str:
        """Which replay the folder is for, as the configuration names it."""
        library = str(self.config.get("library", "")).partition(" ")[0]
        named = str(self.config.get("family") or _UPSTREAMS.get(str(self.config.get("upstream", library)), ""))
        if named not in REPLAYS:
            upstream = self.config.get("upstream") or self.config.get("upstream_repo")
            raise unknown("family of vectors", str(named or upstream), REPLAYS, where=str(self.folder / "config.json"))
        return named

    def json(self, name: str) -> Any:
        """The content of a JSON file."""
        return load_json(self.folder / name)

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of ``<name>.safetensors``; floats as float32, whatever they are stored in."""
        path = self.folder / f"{name}.safetensors"
        if not path.is_file():
            raise ConfigError(f"{path}: no such file", hint="name a folder of vectors")
        return {key: value.float() if value.is_floating_point() else value for key, value in load_tensors(path).items()}


def compare(name: str, computed: Tensor, reference: Tensor, draws_left: int = 0) -> Comparison:
    """How far `computed` is from `reference`, of the same shape."""
    difference = float((computed.double() - reference.double()).abs().max())
    return Comparison(name, difference, max(1.0, float(reference.abs().max())), draws_left)


def outputs_of(modules: Mapping[str, nn.Module]) -> dict[str, list[Tensor]]:
    """What each module returns, call by call, from now on."""
    seen: dict[str, list[Tensor]] = {name: [] for name in modules}
    for name, module in modules.items():
        module.register_forward_hook(lambda _module, _args, output, name=name: seen[name].append(output))
    return seen


def worst(name: str, comparisons: Iterable[Comparison]) -> Comparison:
    """The one furthest from its reference in units of its bound, NaN before all, for a case of several tensors."""
    found = max(comparisons, key=lambda c: math.inf if math.isnan(c.difference) else c.difference / c.bound)
    return found._replace(name=name)


def integrator(recorded: str) -> str:
    """genbench's name of an integrator of torchdiffeq's."""
    return _INTEGRATORS.get(recorded.lower(), recorded.lower())


def replay(path: Path) -> Iterator[Comparison]:
    """Every forward case and sampler run of a folder of vectors, or those of a full-size network's JSON file, on the
    CPU in float32.

    Raises `ConfigError` for a missing file, a setting that genbench does not have or files that do not fit together,
    `UsageError` for a family that has no replay, and `WeightsError` for tensors that cannot be read or do not fit.
    """
    if path.suffix == ".json":
        network = FullSize(path)
        if network.family not in FULL_SIZE:
            raise unknown("family of full-size networks", network.family, FULL_SIZE, where=str(path))
        full_size: Callable[[FullSize], Iterator[Comparison]] = import_object(FULL_SIZE[network.family], str(path))
        return _told(path, partial(full_size, network))
    vectors = Vectors(path)
    entry: Callable[[Vectors], Iterator[Comparison]] = import_object(REPLAYS[vectors.family], str(path))
    return _told(path, partial(entry, vectors))


def _told(path: Path, replayed: Callable[[], Iterator[Comparison]]) -> Iterator[Comparison]:
    """What it gives. What others recorded has no schema: its values go into networks and samplers as they are."""
    try:
        yield from replayed()
    except (LookupError, AttributeError, TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise ConfigError(
            f"{path}: cannot be replayed ({type(error).__name__}: {error})",
            hint="make the vectors again; config.json, sampler.json and the tensors must be of one network",
        ) from error
