"""SiD and DMD2 against what their authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genbench.methods.edm.vectors import constructor_arguments, network_cases, sampler_runs
from genbench.methods.sid.sampler import SiDSampler
from genbench.methods.sid.settings import SiDSettings
from genbench.methods.vectors import Comparison, Vectors
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every network's outputs, and every run of a generator."""
    networks = {name: constructor_arguments(vectors, name) for name in vectors.config["models"]}

    def sampler(run: Mapping[str, Any], where: str) -> SiDSampler:
        return SiDSampler(
            network=networks[run["model"]],
            settings=check(SiDSettings, {"sigma": run["sigma_G"]}, where),
            state=vectors.tensors(run["model"]),
            device=torch.device("cpu"),
        )

    forward = vectors.tensors("forward")
    for name in networks:
        yield from network_cases(sampler({"model": name, "sigma_G": 1.0}, name).network, forward, name)
    yield from sampler_runs(vectors, sampler)
