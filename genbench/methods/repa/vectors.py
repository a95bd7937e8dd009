"""REPA, iREPA, HASTE and REPA-E against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.dit.vectors import constructor_arguments
from genbench.methods.noise import RecordedNoise
from genbench.methods.repa.network import RepresentationAlignedSiT
from genbench.methods.repa.sampler import REPASampler
from genbench.methods.repa.settings import REPANetwork, REPASettings
from genbench.methods.vectors import Comparison, Vectors, compare, worst
from genbench.schema import check

_MODES = {"euler_sampler": "ode", "euler_maruyama_sampler": "sde"}
"""Modes by the names of the authors' functions."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case of the network that is sampled from, and every sampler run; training's cases are left out."""
    where = str(vectors.folder / "config.json")
    state, forward, recorded = (vectors.tensors(name) for name in ("state", "forward", "sampler"))
    statistics = any(key.startswith("bn.") for key in state)
    network = constructor_arguments(vectors, REPANetwork, learn_sigma=False, latent_statistics=statistics)
    model = _sampler(network, {"mode": "ode", "steps": 1}, state, where)
    for case in vectors.config["forward_cases"]:
        if "denormalized" in case["outputs"]:
            yield worst(case["name"], _statistics(model.network, forward))
        elif case["outputs"][0] == "out":
            with torch.inference_mode():
                computed = model.evaluate(*(forward[name] for name in case["inputs"]))
            yield compare(case["name"], computed, forward["out"])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        where = f"{vectors.folder / 'sampler.json'}: {name}"
        sampler = _sampler(network, _settings(run, where), state, where)
        noise = RecordedNoise([recorded[f"{name}.z"], *recorded.get(f"{name}.noise", [])])
        latents = sampler.normalised(noise, recorded[f"{name}.y"])
        yield compare(name, latents, recorded[f"{name}.final"], noise.left)


def _statistics(network: RepresentationAlignedSiT, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    scale, bias = network.scale_and_bias()
    yield compare("latents_scale", scale, forward["latents_scale"])
    yield compare("latents_bias", bias, forward["latents_bias"])
    yield compare("denormalized", network.to_decoder(forward["x"]), forward["denormalized"])


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    if run["sampler"] not in _MODES:
        raise ConfigError(f"{where}: sampler {run['sampler']!r}", hint=f"genbench has {', '.join(_MODES)}")
    return {
        "mode": _MODES[run["sampler"]],
        "steps": run["num_steps"],
        "integrator": "heun" if run.get("heun") else "euler",
        "cfg": run["cfg_scale"],
        "guidance_low": run["guidance_low"],
        "guidance_high": run["guidance_high"],
        "path": run["path_type"],
    }


def _sampler(network: Mapping[str, Any], settings: dict[str, Any], state: dict[str, Tensor], where: str) -> REPASampler:
    return REPASampler(
        network=network, settings=check(REPASettings, settings, where), state=state, device=torch.device("cpu")
    )
