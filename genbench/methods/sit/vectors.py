"""SiT against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.dit.vectors import constructor_arguments, official_forward
from genbench.methods.noise import RecordedNoise
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings
from genbench.methods.vectors import Comparison, Vectors, compare, integrator
from genbench.schema import check

_FORMS = {"SBDM": "sbdm", "inccreasing-decreasing": "increasing-decreasing"}
"""The authors' names of diffusion forms where they are not genbench's."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run."""
    where = str(vectors.folder / "config.json")
    state, forward, recorded = (vectors.tensors(name) for name in ("state", "forward", "sampler"))
    network = constructor_arguments(vectors)
    model = _sampler(network, {"mode": "ode", "steps": 2}, state, where)
    for case in vectors.config["forward_cases"]:
        x, t, y = (forward[name] for name in case["inputs"])
        yield compare(case["name"], official_forward(model.estimate, x, t, y, case), forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        where = f"{vectors.folder / 'sampler.json'}: {name}"
        sampler = _sampler(network, _settings(run), state, where)
        sampler.joint_steps = True
        labels = recorded[f"{name}.y"]
        # The authors double a guided batch and draw for both halves, of which only the first goes anywhere.
        draws = recorded.get(f"{name}.noise", torch.empty(0, len(labels)))[:, : len(labels)]
        noise = RecordedNoise([recorded[f"{name}.z"], *draws])
        yield compare(name, sampler.sample(noise, labels), recorded[f"{name}.final"], noise.left)


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    settings = {
        "path": run["path_type"].lower(),
        "prediction": run["prediction"],
        "mode": run["mode"].lower(),
        "steps": run["num_steps"],
        "integrator": integrator(run["sampling_method"]),
        "cfg": run["cfg_scale"],
    }
    if settings["mode"] == "ode":
        return {**settings, "rtol": run["rtol"], "atol": run["atol"]}
    return {
        **settings,
        "diffusion": _FORMS.get(run["diffusion_form"], run["diffusion_form"]),
        "diffusion_norm": run["diffusion_norm"],
        "last_step": (run["last_step"] or "none").lower(),
        "last_step_size": run["last_step_size"] if run["last_step"] else 0.0,
    }


def _sampler(network: Mapping[str, Any], settings: dict[str, Any], state: dict[str, Tensor], where: str) -> SiTSampler:
    return SiTSampler(
        network=network, settings=check(SiTSettings, settings, where), state=state, device=torch.device("cpu")
    )
