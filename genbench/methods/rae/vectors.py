"""RAE against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.guidance import guide
from genbench.methods.latents.decoder import LatentStatistics
from genbench.methods.noise import RecordedNoise
from genbench.methods.rae.decoder import RAEDecoder
from genbench.methods.rae.sampler import RAESampler
from genbench.methods.rae.settings import DecoderNetwork, DiTDHNetwork, RAESettings
from genbench.methods.vectors import Comparison, Vectors, compare, integrator
from genbench.schema import check

_TRAINING = {"class_dropout_prob"}
_ONLY = {"patch_size": 1, "wo_shift": False}
"""Arguments of the authors' class that work with one value."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    model = _sampler(vectors, {}, "settings")
    for case in vectors.config["forward_cases"]:
        computed = _decoded(vectors, case, forward) if "dec.z" in case["inputs"][0] else _forward(model, case, forward)
        yield compare(case["name"], computed, forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        where = f"{vectors.folder / 'sampler.json'}: {name}"
        sampler = _sampler(vectors, _settings(run, where), where)
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


@torch.inference_mode()
def _forward(model: RAESampler, case: Mapping[str, Any], forward: Mapping[str, Tensor]) -> Tensor:
    """A network's ``forward``, or the authors' guided ones: by the null class, of a batch's first half twice."""
    x, t, y = (forward[name] for name in case["inputs"])
    if case["outputs"][0].startswith("guide."):
        return model.weaker(x, t, y)
    if "scale" not in case:
        return model.evaluate(x, t, y)
    if case["name"] == "forward_with_autoguidance":
        own, other = model.evaluate(x, t, y), model.weaker(x, t, y)
    else:
        halves = model.evaluate(torch.cat([x[: len(x) // 2]] * 2), t, y).chunk(2)
        own, other = (half.repeat(2, 1, 1, 1) for half in halves)
    low, high = case["interval"]
    inside = ((t >= low) & (t <= high)).view(-1, 1, 1, 1)
    return torch.where(inside, guide(own, other, case["scale"], None, rest=own), own)


@torch.inference_mode()
def _decoded(vectors: Vectors, case: Mapping[str, Any], forward: Mapping[str, Tensor]) -> Tensor:
    """The decoder's patches, or the images of latents in the sampler's units."""
    arguments = vectors.config["modules"]["decoder"]["config"]
    network = check(DecoderNetwork, {k: arguments[k] for k in DecoderNetwork.model_fields}, "modules.decoder.config")
    decoder = RAEDecoder(**network.model_dump())
    decoder.load_state_dict(vectors.tensors("state_decoder"))
    latents = forward["dec.z"]
    if "image_mean" not in case:
        patches: Tensor = decoder(latents.flatten(2).transpose(1, 2))
        return patches
    mean, variance = (forward[name] for name in case["inputs"][1:])
    statistics = LatentStatistics.of_variance(mean, variance, case["eps"])
    return decoder.images(statistics.restore(latents), case["image_mean"], case["image_std"])


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    if run["mode"] != "ODE" or run["reverse"]:
        raise ConfigError(f"{where}: mode {run['mode']}", hint="genbench samples RAE by its ODE, from noise to data")
    return {
        "steps": run["num_steps"],
        "integrator": integrator(run["sampling_method"]),
        "shift": run["time_dist_shift"],
        "guidance": run["method"] or "none",
        "scale": run["scale"],
        "t_min": run["t_min"],
        "t_max": run["t_max"],
    }


def _sampler(vectors: Vectors, settings: dict[str, Any], where: str) -> RAESampler:
    """The sampler of the folder's network with its guide, where it has one."""
    modules = vectors.config["modules"]
    arguments, state = constructor_arguments(vectors), vectors.tensors("state")
    if "guide" in modules:
        arguments["guide"] = constructor_arguments(vectors, "guide")
        state |= {f"guide.{key}": value for key, value in vectors.tensors("state_guide").items()}
    network = check(DiTDHNetwork, arguments, f"{vectors.folder / 'config.json'}: modules")
    return RAESampler(
        network=network.model_dump(),
        settings=check(RAESettings, settings, where),
        state=state,
        device=torch.device("cpu"),
    )


def constructor_arguments(vectors: Vectors, module: str = "model") -> dict[str, Any]:
    """The recorded arguments of a module's official constructor, less what sampling does not use.

    Raises `ConfigError` where the authors' constructor would build a network that genbench has not.
    """
    given = vectors.config["modules"][module]
    for name, value in _ONLY.items():
        if given.get(name, value) != value:
            raise ConfigError(
                f"{vectors.folder / 'config.json'}: modules.{module}: {name} is {given[name]}",
                hint=f"DiT^DH has {name} {value}",
            )
    return {name: value for name, value in given.items() if name not in _TRAINING | _ONLY.keys()}
