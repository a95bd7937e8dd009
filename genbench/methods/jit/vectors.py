"""JiT against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.jit.sampler import JiTSampler
from genbench.methods.jit.settings import JiTNetwork, JiTSettings
from genbench.methods.noise import RecordedNoise
from genbench.methods.vectors import Comparison, Vectors, compare, worst
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    model = _sampler(vectors, {}, "settings")
    for case in vectors.config["forward_cases"]:
        pairs = zip(case["outputs"], _forward(model, case, forward), strict=True)
        yield worst(case["name"], [compare(name, value, forward[name]) for name, value in pairs])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        sampler = _sampler(vectors, _settings(run), f"{vectors.folder / 'sampler.json'}: {name}")
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


@torch.inference_mode()
def _forward(model: JiTSampler, case: Mapping[str, Any], forward: Mapping[str, Tensor]) -> list[Tensor]:
    """What a case's outputs hold: the image, or without inputs the table of rotations."""
    if "inputs" not in case:
        return list(model.network.rotation(model.device))
    return [model.evaluate(*(forward[name] for name in case["inputs"]))]


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    return {
        "steps": run["steps"],
        "integrator": run["method"],
        "cfg": run["cfg"],
        "cfg_start": run["interval_min"],
        "cfg_end": run["interval_max"],
        "noise_scale": run["noise_scale"],
        "t_eps": run["t_eps"],
    }


def _sampler(vectors: Vectors, settings: dict[str, Any], where: str) -> JiTSampler:
    arguments = vectors.config["modules"]["model"]
    network = check(JiTNetwork, arguments, f"{vectors.folder / 'config.json'}: modules.model")
    return JiTSampler(
        network=network.model_dump(),
        settings=check(JiTSettings, settings, where),
        state=vectors.tensors("state"),
        device=torch.device("cpu"),
    )
