"""Consistency models against what OpenAI's code and diffusers computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.adm.vectors import created, unet2d
from genbench.methods.consistency.sampler import ConsistencySampler, network_time
from genbench.methods.consistency.settings import ConsistencySettings
from genbench.methods.full_size import FullSize, thinned
from genbench.methods.noise import RecordedNoise
from genbench.methods.preconditioning import SIGMA_DATA
from genbench.methods.vectors import Comparison, Vectors, compare, outputs_of
from genbench.schema import check

_PARAMETRISATIONS = {"distillation_False": "edm", "distillation_True": "consistency"}
_SCALINGS = {"c_skip": "skip", "c_out": "out", "c_in": "inner"}


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """OpenAI's: every forward result of every model, and every sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    models = {name: _openai(vectors, name, model) for name, model in vectors.config["models"].items()}
    for name, (network, state) in models.items():
        case = _under(name, forward)
        yield from _preconditioned(network, state, case, name)
        yield from _inside(_sampler(network, {}, state, name), case, name)
    for run in vectors.json("sampler.json")["runs"]:
        where = f"{vectors.folder / 'sampler.json'}: {run['name']}"
        case = _under(run["name"], recorded)
        sampler = _sampler(models[run["model"]][0], _settings(run, where), models[run["model"]][1], where)
        image, noise = _sampled(sampler, case, case.get("y"))
        yield compare(run["name"], image, case["image"], noise.left)


def replay_diffusers(vectors: Vectors) -> Iterator[Comparison]:
    """diffusers' pipeline: the network of every model from that library's keys, and every run."""
    where = str(vectors.folder / "config.json")
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    states = {name: vectors.tensors(name) for name in vectors.config["unet_configs"]}
    networks = {n: unet2d(given, f"{where}: {n}") for n, given in vectors.config["unet_configs"].items()}
    for name, network in networks.items():
        yield from _inside(_sampler(network, {}, states[name], where), _under(name, forward), name)
    for run in vectors.json("sampler.json")["runs"]:
        case = _under(run["name"], recorded)
        settings = {"sampler": "multistep", "steps": run["train"], "ts": _ascending(run)}
        sampler = _sampler(networks[run["model"]], settings, states[run["model"]], f"{vectors.folder}: {run['name']}")
        image, noise = _sampled(sampler, case, case.get("class_labels"))
        yield compare(run["name"], image / 2 + 0.5, case["image01"], noise.left)


@torch.inference_mode()
def replay_full_size(network: FullSize) -> Iterator[Comparison]:
    """OpenAI's official U-Net, with the width multipliers that its constructor chose."""
    given = {**network.config["create_model_args"], "channel_mult": ",".join(map(str, network.config["channel_mult"]))}
    sampler = _sampler(
        created(given, network.config["num_classes"], f"{network.path}: config"),
        {},
        network.state({}),
        str(network.path),
    )
    recorded = network.tensors()
    x = torch.randn(len(recorded["timesteps"]), *sampler.shape, generator=network.generator())
    labels = recorded.get("y", torch.zeros(len(x)))
    found, expected = sampler.evaluate(x, recorded["timesteps"], labels), recorded["model_out_strided"]
    yield compare("model_out", thinned(found, expected), expected)


def _ascending(run: Mapping[str, Any]) -> str:
    """OpenAI's ``ts`` of a run of diffusers' scheduler, which lists places in the grid from the last to the first."""
    given, steps = run["kw"], run["train"]
    count = given.get("num_inference_steps")
    places = given.get("timesteps") or [i * (steps // count) for i in reversed(range(count))]
    return ",".join(map(str, [*reversed(places), steps - 1]))


def _openai(vectors: Vectors, name: str, model: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    where = f"{vectors.folder / 'config.json'}: models.{name}"
    return created(model["create_model_args"], model["num_classes"], where), vectors.tensors(name)


def _under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(f"{name}/"): value for k, value in tensors.items() if k.startswith(f"{name}/")}


@torch.inference_mode()
def _preconditioned(
    network: Mapping[str, Any], state: dict[str, Tensor], case: Mapping[str, Tensor], name: str
) -> Iterator[Comparison]:
    """The network's time, and for each parametrisation its scalings and the estimate of the data."""
    sigma, x = case["sigmas"], case["x_t"]
    yield compare(f"{name}/timesteps", network_time(sigma), case["timesteps"])
    for suffix, parametrisation in _PARAMETRISATIONS.items():
        sampler = _sampler(network, {"parametrisation": parametrisation}, state, name)
        scalings = sampler.scalings(sigma)
        for title, field in _SCALINGS.items():
            yield compare(f"{name}/{title}_{suffix}", getattr(scalings, field), case[f"{title}_{suffix}"])
        denoised = sampler.denoised(x, sigma, case.get("y", torch.zeros(len(x))))
        yield compare(f"{name}/denoised_{suffix}", denoised, case[f"denoised_{suffix}"])


@torch.inference_mode()
def _inside(sampler: ConsistencySampler, case: Mapping[str, Tensor], name: str) -> Iterator[Comparison]:
    """The network's output, and that of every module inside it that was recorded."""
    modules = dict(sampler.network.named_modules())
    seen = outputs_of({place: modules[place] for place in case if place in modules})
    x = case["model_in"]
    seen["model_out"] = [sampler.evaluate(x, case["timesteps"], case.get("y", torch.zeros(len(x))))]
    for place, outputs in seen.items():
        yield compare(f"{name}/{place}", outputs[0], case[place])


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    if run.get("sigma_data", SIGMA_DATA) != SIGMA_DATA:
        raise ConfigError(f"{where}: sigma_data {run['sigma_data']}", hint=f"these networks assume {SIGMA_DATA}")
    renamed = {"s_churn": "s_churn", "s_tmin": "s_min", "s_tmax": "s_max", "s_noise": "s_noise"}
    return {
        **{name: run[theirs] for theirs, name in renamed.items() if math.isfinite(run.get(theirs, math.inf))},
        **{name: run[name] for name in ("sampler", "steps", "sigma_min", "sigma_max", "rho")},
        "ts": ",".join(map(str, run["ts"])) if run.get("ts") else None,
        "parametrisation": "consistency" if run["distillation"] else "edm",
        "clip": run["clip_denoised"],
    }


def _sampled(
    sampler: ConsistencySampler, case: Mapping[str, Tensor], labels: Tensor | None
) -> tuple[Tensor, RecordedNoise]:
    """A run's images, and its draws: the authors multiply those after the last evaluation by zero."""
    draws = [case[f"noise.{i}"] for i in range(sum(key.startswith("noise.") for key in case))]
    settings = sampler.settings
    if settings.ts is not None:
        draws = draws[: settings.ts.count(",")]
    elif settings.sampler == "ancestral":
        draws = draws[: settings.steps]
    noise = RecordedNoise(draws)
    return sampler.sample(noise, torch.zeros(len(noise)) if labels is None else labels), noise


def _sampler(
    network: Mapping[str, Any], settings: dict[str, Any], state: dict[str, Tensor], where: str
) -> ConsistencySampler:
    return ConsistencySampler(
        network=network, settings=check(ConsistencySettings, settings, where), state=state, device=torch.device("cpu")
    )
