"""ECT's network and sampler against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genbench.methods.ect.network import ECTDenoiser
from genbench.methods.ect.sampler import ECTSampler
from genbench.methods.ect.settings import ECTNetwork, ECTSettings
from genbench.methods.edm.vectors import constructor_arguments, network_cases, sampler_runs
from genbench.methods.networks import build
from genbench.methods.preconditioning import edm_scalings
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check

_CPU = torch.device("cpu")


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every network's intermediate and final outputs, also as it is preconditioned in training, and every run."""
    forward = vectors.tensors("forward")
    networks = {name: constructor_arguments(vectors, name, ECTNetwork) for name in vectors.config["models"]}
    for name, network in networks.items():
        state = vectors.tensors(name)
        model = build(lambda network=network: ECTDenoiser(**network), state, _CPU, name="ECT")  # type: ignore[misc]
        yield from network_cases(model, forward, name)
        case = f"{name}/D_x_train_mode_nodropout"
        if case in forward:
            x, sigma = forward[f"{name}/x"], forward[f"{name}/sigma"]
            with torch.inference_mode():
                computed = edm_scalings(sigma).denoised(x, lambda inner: model.model(inner, sigma.log() / 4))  # noqa: B023
            yield compare(case, computed, forward[case])

    def sampler(run: Mapping[str, Any], where: str) -> ECTSampler:
        given = {"t_max": run.get("t_max", 80.0), "mid_t": ",".join(map(str, run["mid_t"])) or None}
        return ECTSampler(
            network=networks[run["model"]],
            settings=check(ECTSettings, given, where),
            state=vectors.tensors(run["model"]),
            device=_CPU,
        )

    yield from sampler_runs(vectors, sampler)
