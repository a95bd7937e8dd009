"""Reference vectors of SiT: what the authors' code computed with a small network, replayed through genbench's.

A folder of vectors holds ``config.json`` (constructor arguments, forward cases), ``sampler.json`` (settings of each
run, as the authors name them), and ``state``, ``forward`` and ``sampler.safetensors`` (weights, inputs, recorded draws,
results).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.guidance import guide
from genbench.methods.noise import RecordedNoise
from genbench.methods.sit.network import SiT
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTNetwork, SiTSettings
from genbench.schema import check
from genbench.weights import load_tensors

TOLERANCE = 1e-4
"""Largest difference that agrees, for references within [-1, 1]; larger references allow as much more."""

_INTEGRATORS = {"heun2": "heun"}
"""torchdiffeq's names where they are not genbench's."""


class Comparison(NamedTuple):
    """One recorded result beside genbench's."""

    name: str
    """Forward case or sampler run."""
    difference: float
    """Largest absolute difference."""
    scale: float
    """max(1, largest absolute value of the reference)."""
    draws_left: int
    """Recorded draws that the run did not use."""

    @property
    def agrees(self) -> bool:
        """Within `TOLERANCE`·scale, with every draw used."""
        return self.difference <= TOLERANCE * self.scale and self.draws_left == 0


def replay(folder: Path) -> Iterator[Comparison]:
    """Every forward case and sampler run of a folder of vectors, on the CPU.

    Raises `ConfigError` for a missing file or a setting that genbench does not have, and `WeightsError` for tensors
    that cannot be read or do not fit.
    """
    config, runs = (_json(folder / name) for name in ("config.json", "sampler.json"))
    state, forward, recorded = (_tensors(folder / f"{name}.safetensors") for name in ("state", "forward", "sampler"))
    arguments = {key: value for key, value in config["modules"]["model"].items() if key != "class_dropout_prob"}
    network = check(SiTNetwork, arguments, f"{folder / 'config.json'}: modules.model").model_dump()
    model = _sampler(network, {"mode": "ode", "steps": 2}, state, str(folder / "config.json")).network
    for case in config["forward_cases"]:
        x, t, y = (forward[name] for name in case["inputs"])
        computed = _forward(model, x, t, y, case.get("cfg_scale"))
        yield _compare(case["name"], computed, forward[case["outputs"][0]], 0)
    for run in runs["runs"]:
        where = f"{folder / 'sampler.json'}: {run['name']}"
        sampler = _sampler(network, _settings(run, where), state, where)
        sampler.joint_steps = True
        labels = recorded[f"{run['name']}.y"]
        # The authors double a guided batch and draw for both halves, of which only the first goes anywhere.
        draws = recorded.get(f"{run['name']}.noise", torch.empty(0, len(labels)))[:, : len(labels)]
        noise = RecordedNoise([recorded[f"{run['name']}.z"], *draws])
        yield _compare(run["name"], sampler.sample(noise, labels), recorded[f"{run['name']}.final"], noise.left)


@torch.inference_mode()
def _forward(network: SiT, x: Tensor, t: Tensor, y: Tensor, scale: float | None) -> Tensor:
    """The authors' ``forward``, or with a scale their ``forward_with_cfg`` of a batch doubled as [labels, null]."""
    if scale is None:
        return network.velocity(x, t, y)
    half = x[: len(x) // 2]
    conditional, null = network.velocity(torch.cat([half, half]), t, y).chunk(2)
    return torch.cat([guide(conditional, null, scale, 3, rest=own) for own in (conditional, null)])


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    if (run["path_type"], run["prediction"]) != ("Linear", "velocity"):
        raise ConfigError(
            f"{where}: path {run['path_type']} with prediction {run['prediction']}",
            hint="genbench samples the linear path from a velocity",
        )
    method = run["sampling_method"].lower()
    settings = {
        "mode": run["mode"].lower(),
        "steps": run["num_steps"],
        "integrator": _INTEGRATORS.get(method, method),
        "cfg": run["cfg_scale"],
    }
    if settings["mode"] == "ode":
        return {**settings, "rtol": run["rtol"], "atol": run["atol"]}
    return {
        **settings,
        "diffusion": run["diffusion_form"],
        "diffusion_norm": run["diffusion_norm"],
        "last_step": (run["last_step"] or "none").lower(),
        "last_step_size": run["last_step_size"],
    }


def _sampler(network: Mapping[str, Any], settings: dict[str, Any], state: dict[str, Tensor], where: str) -> SiTSampler:
    return SiTSampler(
        network=network, settings=check(SiTSettings, settings, where), state=state, device=torch.device("cpu")
    )


def _compare(name: str, computed: Tensor, reference: Tensor, draws_left: int) -> Comparison:
    difference = float((computed - reference).abs().max())
    return Comparison(name, difference, max(1.0, float(reference.abs().max())), draws_left)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", hint="name a folder of vectors") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not valid JSON: {error}", hint="restore the file") from error


def _tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(f"{path}: no such file", hint="name a folder of vectors")
    return load_tensors(path)
