"""SFD against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.dit.vectors import constructor_arguments
from genbench.methods.noise import RecordedNoise
from genbench.methods.sfd.sampler import SFDSampler
from genbench.methods.sfd.settings import SFDNetwork, SFDSettings
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case of the network and of its guide, and every sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    for case in vectors.config["forward_cases"]:
        computed = _forward(vectors, case, [forward[name] for name in case["inputs"]])
        yield compare(case["name"], computed, forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        settings = {"guidance": run["guidance"], "scale": run["cfg_scale"], "rtol": run["rtol"], "atol": run["atol"]}
        sampler = _sampler(vectors, settings, f"{vectors.folder / 'sampler.json'}: {name}")
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


@torch.inference_mode()
def _forward(vectors: Vectors, case: Mapping[str, Any], inputs: list[Tensor]) -> Tensor:
    """The authors' ``forward`` of the network or its guide, or with a scale their ``forward_with_autoguidance``."""
    scale = case.get("cfg_scale", 1.0)
    model = _sampler(vectors, {"guidance": "autoguidance", "scale": scale}, case["name"])
    return (model.weaker if case["name"].startswith("guide.") else model.contrasted)(*inputs)


def _sampler(vectors: Vectors, settings: dict[str, Any], where: str) -> SFDSampler:
    guide = constructor_arguments(vectors, SFDNetwork, module="guide")
    state = {f"guide.{key}": value for key, value in vectors.tensors("state_guide").items()}
    return SFDSampler(
        network={**constructor_arguments(vectors, SFDNetwork), "guide": guide},
        settings=check(SFDSettings, settings, where),
        state={**vectors.tensors("state"), **state},
        device=torch.device("cpu"),
    )
