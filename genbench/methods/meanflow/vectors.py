"""MeanFlow's networks against what its PyTorch codes computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from genbench.errors import ConfigError
from genbench.methods.dit.vectors import constructor_arguments
from genbench.methods.meanflow.sampler import MeanFlowDiTDHSampler, MeanFlowSampler, MeanFlowUNetSampler
from genbench.methods.meanflow.settings import (
    AverageVelocitySettings,
    MeanFlowDiTDHNetwork,
    MeanFlowNetwork,
    MeanFlowSettings,
    MeanFlowUNetNetwork,
)
from genbench.methods.meanflow.unet import MeanFlowUNet
from genbench.methods.networks import build
from genbench.methods.noise import RecordedNoise
from genbench.methods.rae.vectors import constructor_arguments as ditdh_arguments
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check

_CPU = torch.device("cpu")


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """SiT's forward case and every sampler run; the derivative that training takes is left out."""
    state = vectors.tensors("state")
    network = constructor_arguments(vectors, MeanFlowNetwork, learn_sigma=False)

    def sampler(run: Mapping[str, Any], where: str) -> MeanFlowSampler:
        settings = check(MeanFlowSettings, {"steps": run["num_steps"], "cfg": run.get("cfg_scale", 1.0)}, where)
        return MeanFlowSampler(network=network, settings=settings, state=state, device=_CPU)

    return _cases_and_runs(vectors, sampler)


def replay_ditdh(vectors: Vectors) -> Iterator[Comparison]:
    """The forward case of DiT^DH, and every sampler run."""
    where, state = f"{vectors.folder / 'config.json'}: modules.model", vectors.tensors("state")
    network = check(MeanFlowDiTDHNetwork, ditdh_arguments(vectors), where).model_dump()

    def sampler(run: Mapping[str, Any], where: str) -> MeanFlowDiTDHSampler:
        settings = check(AverageVelocitySettings, {"steps": run["num_steps"]}, where)
        return MeanFlowDiTDHSampler(network=network, settings=settings, state=state, device=_CPU)

    return _cases_and_runs(vectors, sampler)


def _cases_and_runs(
    vectors: Vectors, sampler: Callable[[Mapping[str, Any], str], MeanFlowSampler | MeanFlowDiTDHSampler]
) -> Iterator[Comparison]:
    """Of a network with classes."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    model = sampler({"num_steps": 1}, str(vectors.folder / "config.json"))
    for case in vectors.config["forward_cases"]:
        if case["outputs"][0] == "out":
            x, r, t, y = (forward[name] for name in case["inputs"])
            with torch.inference_mode():
                computed = model.evaluate(x, torch.stack([r, t], dim=1), y)
            yield compare(case["name"], computed, forward["out"])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        made = sampler(run, f"{vectors.folder / 'sampler.json'}: {name}")
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, made.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


def replay_unet(vectors: Vectors) -> Iterator[Comparison]:
    """The U-Net's forward cases, with augmentation labels and without, and every sampler run."""
    where = str(vectors.folder / "config.json")
    state, forward, recorded = (vectors.tensors(name) for name in ("state", "forward", "sampler"))
    network = _unet_arguments(vectors.config["modules"]["model"], where)
    module = build(lambda: MeanFlowUNet(**network), state, _CPU, name="MeanFlow U-Net")
    for case in vectors.config["forward_cases"]:
        x, t, h, *augment = (forward[name] for name in case["inputs"])
        with torch.inference_mode():
            computed = module(x, torch.stack([t - h, t], dim=1), None, *augment)
        yield compare(case["name"], computed, forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        where = f"{vectors.folder / 'sampler.json'}: {name}"
        settings = check(AverageVelocitySettings, {"steps": run["num_steps"]}, where)
        sampler = MeanFlowUNetSampler(network=network, settings=settings, state=state, device=_CPU)
        noise = RecordedNoise([recorded[f"{name}.z"]])
        labels = torch.zeros(len(noise), dtype=torch.int64)
        yield compare(name, sampler.sample(noise, labels), recorded[f"{name}.final"], noise.left)


def _unet_arguments(official: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The recorded arguments of the official constructor, less what sampling does not use.

    Raises `ConfigError` for an argument that genbench's network does not have.
    """
    given = {key: value for key, value in official.items() if key not in ("dropout", "label_dropout")}
    only = {"decoder_type": "standard", "embedding_type": "positional", "label_dim": 0}
    for key, value in only.items():
        if given.pop(key, value) != value:
            raise ConfigError(f"{where}: {key} {official[key]!r}", hint=f"genbench's network has {value!r}")
    return check(MeanFlowUNetNetwork, given, where).model_dump()
