"""DiT against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.ddpm import Schedule, schedule
from genbench.methods.dit.sampler import DiTSampler
from genbench.methods.dit.settings import DiTNetwork, DiTSettings
from genbench.methods.guidance import Network, guide_both
from genbench.methods.noise import RecordedNoise
from genbench.methods.settings import TransformerNetwork
from genbench.methods.vectors import Comparison, Vectors, compare, worst
from genbench.schema import check

_MODES = {"p_sample_loop": "ddpm", "ddim_sample_loop": "ddim"}
"""Modes by the names of the authors' functions."""

GUIDED = 3
"""How many channels the authors of DiT and SiT guide."""

_UNUSED = (
    "class_dropout_prob",
    "use_cfg",
    "fused_attn",
    "decoder_hidden_size",
    "encoder_depth",
    "z_dims",
    "proj",
    "bn_momentum",
    "eval_mode",
)
"""What arguments begin with that change training or speed only, in DiT and the methods that train its network."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case, the schedule's tables among them, and sampler run."""
    return replay_with(DiTSampler, DiTSettings, constructor_arguments(vectors), vectors)


def replay_with(
    kind: type[DiTSampler], model: type[DiTSettings], network: Mapping[str, Any], vectors: Vectors
) -> Iterator[Comparison]:
    """Every forward case and sampler run of DiT's sampler or one made of it, with settings of its `model`."""
    where = str(vectors.folder / "config.json")
    state, forward, recorded = (vectors.tensors(name) for name in ("state", "forward", "sampler"))

    def sampler(settings: Mapping[str, Any], where: str) -> DiTSampler:
        checked = check(model, settings, where)
        return kind(network=network, settings=checked, state=state, device=torch.device("cpu"))

    plain = sampler({"steps": 2, "mode": "ddim"}, where)
    for case in vectors.config["forward_cases"]:
        if case["name"].startswith("tables."):
            yield worst(case["name"], _tables(forward, where))
            continue
        x, t, y = (forward[name] for name in case["inputs"])
        yield compare(case["name"], official_forward(plain.evaluate, x, t, y, case), forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        made = sampler(_settings(run, f"{vectors.folder / 'sampler.json'}: {name}"), where)
        labels = recorded[f"{name}.y"]
        draws = _draws(recorded, name, made.settings)[:, : len(labels)]
        noise = RecordedNoise([recorded[f"{name}.z"], *draws])
        yield compare(name, made.sample(noise, labels), recorded[f"{name}.final"], noise.left)


def constructor_arguments(
    vectors: Vectors, model: type[TransformerNetwork] = DiTNetwork, *, module: str = "model", **added: Any
) -> dict[str, Any]:
    """The recorded arguments of a module's official constructor, less what sampling does not use; `added` are
    genbench's own.

    Raises `ConfigError` where the authors' constructor would build a network that genbench has not.
    """
    where = f"{vectors.folder / 'config.json'}: modules.{module}"
    recorded = vectors.config["modules"][module]
    width = recorded.get("decoder_hidden_size", recorded["hidden_size"])
    if width != recorded["hidden_size"]:
        raise ConfigError(f"{where}: decoder_hidden_size {width}", hint="blocks of two widths are not sampled from")
    arguments = {k: v for k, v in recorded.items() if not k.startswith(_UNUSED)}
    return check(model, {**arguments, **added}, where).model_dump()


@torch.inference_mode()
def official_forward(network: Network, x: Tensor, t: Tensor, y: Tensor, case: Mapping[str, Any]) -> Tensor:
    """The authors' ``forward``, or with a scale their ``forward_with_cfg`` of a batch doubled as [labels, null]."""
    if "cfg_scale" not in case:
        return network(x, t, y)
    half = x[: len(x) // 2]
    return guide_both(network(torch.cat([half, half]), t, y), case["cfg_scale"], case.get("cfg_channels", GUIDED))


def _tables(forward: Mapping[str, Tensor], where: str) -> Iterator[Comparison]:
    """Every recorded ``tables.<respacing>.<name>``."""
    for key, reference in forward.items():
        if not key.startswith("tables."):
            continue
        _, respacing, name = key.split(".")
        if name not in Schedule._fields:
            raise ConfigError(f"{where}: table {name!r}", hint=f"genbench has {', '.join(Schedule._fields)}")
        computed = getattr(schedule(**_respacing(respacing, where)), name)
        yield compare(key, computed, reference)


def _respacing(text: str, where: str) -> dict[str, Any]:
    """The authors' ``timestep_respacing``: N, ddimN, or nothing for every step."""
    number, spacing = (text[4:], "stride") if text.startswith("ddim") else (text or "1000", "even")
    if not number.isdigit():
        raise ConfigError(f"{where}: respacing {text!r}", hint="genbench has N and ddimN")
    return {"steps": int(number), "spacing": spacing}


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    if run["sampler"] not in _MODES:
        raise ConfigError(f"{where}: sampler {run['sampler']!r}", hint=f"genbench has {', '.join(_MODES)}")
    return {
        **_respacing(str(run["respacing"]), where),
        "mode": _MODES[run["sampler"]],
        "eta": run.get("eta", 0.0),
        "clip": run["clip_denoised"],
        "cfg": run["cfg_scale"],
        **({"scale_pow": run["scale_pow"]} if "scale_pow" in run else {}),
    }


def _draws(recorded: Mapping[str, Tensor], name: str, settings: DiTSettings) -> Tensor:
    """The draws that count: the authors draw at every step, also at the last and with eta 0, and multiply by zero.

    They double a guided batch and draw for both halves, of which only the first goes anywhere.
    """
    draws = recorded.get(f"{name}.noise", torch.empty(0, 0))
    deterministic = settings.mode == "ddim" and settings.eta == 0
    return draws[:0] if deterministic else draws[: settings.steps - 1]
