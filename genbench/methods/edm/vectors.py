"""EDM's networks and sampler against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.catalog import Sampler
from genbench.methods.edm.blocks import UNetBlock
from genbench.methods.edm.network import EDMDenoiser
from genbench.methods.edm.sampler import EDMSampler
from genbench.methods.edm.settings import EDMNetwork, EDMSettings
from genbench.methods.full_size import FullSize
from genbench.methods.networks import build
from genbench.methods.noise import RecordedNoise
from genbench.methods.preconditioning import SIGMA_DATA
from genbench.methods.vectors import Comparison, Vectors, compare, outputs_of
from genbench.schema import check

_UNUSED = ("precond", "dropout", "use_fp16", "label_dropout")
"""Arguments that name the preconditioner or change training only."""

_FIXED = {"decoder_type": "standard", "sigma_data": SIGMA_DATA}
"""Arguments that have one value in genbench."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    "SongUNet": {
        "model_channels": 128,
        "channel_mult": (1, 2, 2, 2),
        "channel_mult_emb": 4,
        "num_blocks": 4,
        "attn_resolutions": (16,),
        "embedding_type": "positional",
        "channel_mult_noise": 1,
        "encoder_type": "standard",
        "resample_filter": (1, 1),
    },
    "DhariwalUNet": {
        "model_channels": 192,
        "channel_mult": (1, 2, 3, 4),
        "channel_mult_emb": 4,
        "num_blocks": 3,
        "attn_resolutions": (32, 16, 8),
    },
}
"""What the authors' constructors take where nothing is said."""

_SETTINGS = {
    "num_steps": "steps",
    "sigma_min": "sigma_min",
    "sigma_max": "sigma_max",
    "rho": "rho",
    "S_churn": "s_churn",
    "S_min": "s_min",
    "S_max": "s_max",
    "S_noise": "s_noise",
}
"""Settings of the authors' sampler by genbench's names; the unlimited ones are those that are not given."""

_BLOCK_ARGUMENTS = {
    "in_channels": "in_channels",
    "out_channels": "out_channels",
    "emb_channels": "emb_channels",
    "resample_filter": "taps",
    "resample_proj": "project_resampled",
    "adaptive_scale": "scale_and_shift",
    "skip_scale": "skip_scale",
    "eps": "eps",
}
"""Arguments of the authors' block by genbench's names, less what it is made from below."""

_CPU = torch.device("cpu")


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every network's intermediate and final outputs, the single blocks, and every sampler run."""
    forward = vectors.tensors("forward")
    networks = {name: constructor_arguments(vectors, name) for name in vectors.config["models"]}
    for name, network in networks.items():
        model = build(lambda network=network: EDMDenoiser(**network), vectors.tensors(name), _CPU, name="EDM")  # type: ignore[misc]
        yield from network_cases(model, forward, name)
    yield from _blocks(vectors, forward)

    def sampler(run: Mapping[str, Any], where: str) -> EDMSampler:
        return EDMSampler(
            network=networks[run["model"]],
            settings=check(EDMSettings, sampler_settings(run), where),
            state=vectors.tensors(run["model"]),
            device=_CPU,
        )

    yield from sampler_runs(vectors, sampler)


def replay_full_size(full: FullSize) -> Iterator[Comparison]:
    """The denoised images of a full-size network for one class and noise level."""
    arguments = network_arguments(full.config, str(full.path))
    with torch.device("meta"):
        buffers = dict(EDMDenoiser(**arguments).named_buffers())
    model = build(lambda: EDMDenoiser(**arguments), full.state(buffers), _CPU, name="EDM")
    recorded = full.tensors()
    labels = recorded.get("class_index", torch.zeros(len(recorded["x"]), dtype=torch.int64))
    with torch.inference_mode():
        computed = model(recorded["x"], recorded["sigma"], model.one_hot(labels))
    yield compare("D_x", computed, recorded["D_x"])


def constructor_arguments(vectors: Vectors, name: str, model: type[EDMNetwork] = EDMNetwork) -> dict[str, Any]:
    """The recorded arguments of a network, with the authors' defaults, less what sampling does not use.

    Raises `ConfigError` for an argument that genbench's network does not have.
    """
    where = f"{vectors.folder / 'config.json'}: {name}"
    return network_arguments(vectors.config["models"][name]["args"], where, model)


def network_arguments(official: Mapping[str, Any], where: str, model: type[EDMNetwork] = EDMNetwork) -> dict[str, Any]:
    """Arguments of the authors' ``EDMPrecond`` as those of `EDMDenoiser`.

    Raises `ConfigError` for an argument that genbench's network does not have.
    """
    given = {key: value for key, value in official.items() if key not in _UNUSED}
    for key, value in _FIXED.items():
        if given.pop(key, value) != value:
            raise ConfigError(f"{where}: {key} {official[key]!r}", hint=f"genbench's networks have {value!r}")
    defaults = _DEFAULTS.get(given.get("model_type", ""), {})
    return check(model, {**defaults, **given}, where).model_dump(exclude_none=True)


def network_cases(model: EDMDenoiser, forward: Mapping[str, Tensor], name: str) -> Iterator[Comparison]:
    """Every recorded output of the network called `name`: of its parts, of itself, and of the whole denoiser."""
    inputs = {key.removeprefix(f"{name}/"): value for key, value in forward.items() if key.startswith(f"{name}/")}
    x, sigma, labels = inputs["x"], inputs["sigma"], inputs.get("class_labels")
    with torch.inference_mode():
        seen = outputs_of({"map_noise_out": model.model.map_noise, "map_layer1_out": model.model.map_layer1})
        seen |= outputs_of({"enc_last": list(model.model.enc.values())[-1]})
        seen["D_x"] = [model(x, sigma, labels)]
        seen["F_in_x"] = [model.scalings(sigma).inner.view(-1, 1, 1, 1) * x]
        seen["c_noise"] = [sigma.log() / 4]
        seen["F_out"] = [model.model(seen["F_in_x"][0], seen["c_noise"][0], labels)]
        seen["D_x_labels_none"] = [model(x, sigma)]
        seen["D_x_augment"] = [model(x, sigma, labels, inputs.get("augment_labels"))]
    for case, outputs in seen.items():
        if case in inputs:
            yield compare(f"{name}/{case}", outputs[0], inputs[case])


def sampler_settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    return {ours: run[theirs] for theirs, ours in _SETTINGS.items() if run.get(theirs) not in (None, math.inf)}


def sampler_runs(vectors: Vectors, sampler: Callable[[Mapping[str, Any], str], Sampler]) -> Iterator[Comparison]:
    """Every recorded run through the sampler of its settings; draws are the latents and then ``noise.0`` and so on."""
    recorded = vectors.tensors("sampler")
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        draws = [recorded[f"{name}/noise.{i}"] for i in range(len(recorded)) if f"{name}/noise.{i}" in recorded]
        noise = RecordedNoise([recorded[f"{name}/latents"], *draws])
        labels = recorded.get(f"{name}/class_labels", torch.zeros(len(noise), 1)).argmax(1)
        computed = sampler(run, f"{vectors.folder / 'sampler.json'}: {name}").sample(noise, labels)
        yield compare(name, computed, recorded[f"{name}/image"], noise.left)


def _blocks(vectors: Vectors, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    """The blocks that were run on their own."""
    for file, recorded in vectors.config.get("unetblocks", {}).items():
        official = recorded["args"]
        arguments = {ours: official[theirs] for theirs, ours in _BLOCK_ARGUMENTS.items() if theirs in official}
        if official.get("attention"):
            per_head = official.get("channels_per_head", 64)
            arguments["heads"] = official.get("num_heads") or official["out_channels"] // per_head
        for direction in ("up", "down"):
            if official.get(direction):
                arguments["resample"] = direction
        state = vectors.tensors(file.removesuffix(".safetensors"))
        block = build(lambda arguments=arguments: UNetBlock(**arguments), state, _CPU, name="EDM")  # type: ignore[misc]
        with torch.inference_mode():
            computed = block(forward["unetblock/x"], forward["unetblock/emb"])
        yield compare(recorded["output"], computed, forward[recorded["output"]])
