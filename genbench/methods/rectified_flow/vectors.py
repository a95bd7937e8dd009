"""2-rectified flow++ against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genbench.methods.edm.vectors import constructor_arguments, sampler_runs
from genbench.methods.rectified_flow.sampler import RectifiedFlowSampler
from genbench.methods.rectified_flow.settings import RectifiedFlowSettings
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The velocity of every network, and every sampler run."""
    networks = {name: constructor_arguments(vectors, name) for name in vectors.config["models"]}

    def sampler(run: Mapping[str, Any], where: str) -> RectifiedFlowSampler:
        settings = {"steps": run["N"], "solver": run["solver"], "update": run["sampler"]}
        return RectifiedFlowSampler(
            network=networks[run["model"]],
            settings=check(RectifiedFlowSettings, settings, where),
            state=vectors.tensors(run["model"]),
            device=torch.device("cpu"),
        )

    forward = vectors.tensors("forward")
    for name in networks:
        model = sampler({"model": name, "N": 1, "solver": "euler", "sampler": "default"}, name)
        with torch.inference_mode():
            v = model.velocity(forward[f"{name}/x"], forward[f"{name}/t"], forward.get(f"{name}/class_labels"))
        yield compare(f"{name}/v", v, forward[f"{name}/v"])
    yield from sampler_runs(vectors, sampler)
