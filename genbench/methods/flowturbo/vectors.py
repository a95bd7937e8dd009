"""FlowTurbo against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from genbench.methods.dit.vectors import constructor_arguments, official_forward
from genbench.methods.flowturbo.sampler import FlowTurboSampler
from genbench.methods.flowturbo.settings import FlowTurboNetwork, FlowTurboSettings
from genbench.methods.noise import RecordedNoise
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case of both networks, and every sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    model = _sampler(vectors, {"heun": 1, "pseudo": 0, "refined": 1}, "settings")
    for case in vectors.config["forward_cases"]:
        x, *velocity, t, y = (forward[name] for name in case["inputs"])
        network = partial(_offset, model, *velocity) if velocity else model.velocity
        yield compare(case["name"], official_forward(network, x, t, y, case), forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        settings = {"heun": run["N_H"], "pseudo": run["N_P"], "refined": run["N_R"], "cfg": run["cfg_scale"]}
        sampler = _sampler(vectors, settings, f"{vectors.folder / 'sampler.json'}: {name}")
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


def _offset(sampler: FlowTurboSampler, velocity: Tensor, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
    """The refiner as the authors' ``forward`` has it."""
    return sampler.offset(x, velocity, t, y)


def _sampler(vectors: Vectors, settings: dict[str, Any], where: str) -> FlowTurboSampler:
    network = constructor_arguments(vectors, FlowTurboNetwork)
    refiner = constructor_arguments(vectors, module="refiner")
    state = {f"refiner.{key}": value for key, value in vectors.tensors("refiner").items()}
    return FlowTurboSampler(
        network={**network, "refiner": refiner},
        settings=check(FlowTurboSettings, settings, where),
        state={**vectors.tensors("state"), **state},
        device=torch.device("cpu"),
    )
