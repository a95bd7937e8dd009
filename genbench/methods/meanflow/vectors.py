"""MeanFlow on SiT against what the PyTorch port computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.dit.vectors import constructor_arguments
from genbench.methods.meanflow.sampler import MeanFlowSampler
from genbench.methods.meanflow.settings import MeanFlowNetwork, MeanFlowSettings
from genbench.methods.noise import RecordedNoise
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The forward case and every sampler run; the derivative that training takes is left out."""
    where = str(vectors.folder / "config.json")
    state, forward, recorded = (vectors.tensors(name) for name in ("state", "forward", "sampler"))
    network = constructor_arguments(vectors, MeanFlowNetwork, learn_sigma=False)
    model = _sampler(network, {}, state, where)
    for case in vectors.config["forward_cases"]:
        if case["outputs"][0] == "out":
            x, r, t, y = (forward[name] for name in case["inputs"])
            with torch.inference_mode():
                computed = model.evaluate(x, torch.stack([r, t], dim=1), y)
            yield compare(case["name"], computed, forward["out"])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        where = f"{vectors.folder / 'sampler.json'}: {name}"
        sampler = _sampler(network, {"steps": run["num_steps"], "cfg": run["cfg_scale"]}, state, where)
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


def _sampler(
    network: Mapping[str, Any], settings: dict[str, Any], state: dict[str, Tensor], where: str
) -> MeanFlowSampler:
    return MeanFlowSampler(
        network=network, settings=check(MeanFlowSettings, settings, where), state=state, device=torch.device("cpu")
    )
