"""RAEv2 against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from genbench.methods.noise import RecordedNoise
from genbench.methods.raev2.sampler import RAEv2Sampler
from genbench.methods.raev2.settings import RAEv2Network, RAEv2Settings
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Both estimates of the network, and every sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    model = _sampler(vectors, {}, "settings")
    for case, place in zip(vectors.config["forward_cases"], (0, 1), strict=True):
        with torch.inference_mode():
            computed = model.estimates(*(forward[name] for name in case["inputs"]))[place]
        yield compare(case["name"], computed, forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        settings = {"steps": run["num_steps"], **{key: run[key] for key in ("shift", "guidance", "scale")}}
        settings |= {key: run[key] for key in ("t_min", "t_max")}
        sampler = _sampler(vectors, settings, f"{vectors.folder / 'sampler.json'}: {name}")
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


def _sampler(vectors: Vectors, settings: dict[str, Any], where: str) -> RAEv2Sampler:
    arguments = vectors.config["modules"]["model"]
    network = check(RAEv2Network, arguments, f"{vectors.folder / 'config.json'}: modules.model")
    return RAEv2Sampler(
        network=network.model_dump(),
        settings=check(RAEv2Settings, settings, where),
        state=vectors.tensors("state"),
        device=torch.device("cpu"),
    )
