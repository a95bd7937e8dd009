"""LightningDiT against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.guidance import guide
from genbench.methods.lightningdit.sampler import LightningDiTSampler
from genbench.methods.lightningdit.settings import LightningDiTNetwork, LightningDiTSettings
from genbench.methods.noise import RecordedNoise
from genbench.methods.vectors import Comparison, Vectors, compare, integrator
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    models = {name: _sampler(vectors, name, {}) for name in vectors.config["modules"]}
    for case in vectors.config["forward_cases"]:
        output = case["outputs"][0]
        x, t, y = (forward[name] for name in case["inputs"])
        computed = _forward(models.get(output.partition(".")[0], models["model"]), x, t, y, case)
        yield compare(case["name"], computed, forward[output])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        sampler = _sampler(vectors, "model", _settings(run, f"{vectors.folder / 'sampler.json'}: {name}"))
        noise = RecordedNoise([recorded[f"{name}.z"]])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


@torch.inference_mode()
def _forward(model: LightningDiTSampler, x: Tensor, t: Tensor, y: Tensor, case: Mapping[str, Any]) -> Tensor:
    """The authors' ``forward``, or with a scale their ``forward_with_cfg`` of a batch doubled as [labels, null]."""
    if "cfg_scale" not in case:
        return model.evaluate(x, t, y)
    half = x[: len(x) // 2]
    conditional, null = model.evaluate(torch.cat([half, half]), t, y).chunk(2)
    guided = not case.get("cfg_interval") or bool(t[0] >= case["cfg_interval_start"])
    scale = case["cfg_scale"] if guided else 1.0
    return torch.cat([guide(conditional, null, scale, 3, rest=own) for own in (conditional, null)])


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    if run["reverse"]:
        raise ConfigError(f"{where}: reverse integration", hint="genbench samples from noise to data")
    return {
        "steps": run["num_steps"],
        "integrator": integrator(run["sampling_method"]),
        "shift": run["timestep_shift"] or 1.0,
        "cfg": run["cfg_scale"],
        "cfg_start": run["cfg_interval_start"] if run.get("cfg_interval") else 0.0,
    }


def _sampler(vectors: Vectors, module: str, settings: dict[str, Any]) -> LightningDiTSampler:
    """The sampler of one of the folder's networks; other ones than `model` have a state file of their own."""
    arguments = {k: v for k, v in vectors.config["modules"][module].items() if k != "class_dropout_prob"}
    where = f"{vectors.folder / 'config.json'}: modules.{module}"
    return LightningDiTSampler(
        network=check(LightningDiTNetwork, arguments, where).model_dump(),
        settings=check(LightningDiTSettings, settings, where),
        state=vectors.tensors("state" if module == "model" else f"state_{module}"),
        device=torch.device("cpu"),
    )
