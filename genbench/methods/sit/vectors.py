"""SiT against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genbench.methods.dit.vectors import GUIDED, constructor_arguments, official_forward
from genbench.methods.noise import RecordedNoise
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings
from genbench.methods.vectors import Comparison, Vectors, compare, integrator
from genbench.schema import check

_FORMS = {"SBDM": "sbdm", "inccreasing-decreasing": "increasing-decreasing"}
"""The authors' names of diffusion forms where they are not genbench's."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run."""
    return replay_with(SiTSampler, constructor_arguments(vectors), vectors)


def replay_with(kind: type[SiTSampler], network: Mapping[str, Any], vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run of SiT's network or of another one that its samplers take."""
    state, forward, recorded = (vectors.tensors(name) for name in ("state", "forward", "sampler"))

    def sampler(settings: Mapping[str, Any], where: str) -> SiTSampler:
        checked = check(SiTSettings, settings, where)
        return kind(network=network, settings=checked, state=state, device=torch.device("cpu"))

    model = sampler({"mode": "ode", "steps": 2}, str(vectors.folder / "config.json"))
    for case in vectors.config["forward_cases"]:
        x, t, y = (forward[name] for name in case["inputs"])
        yield compare(case["name"], official_forward(model.estimate, x, t, y, case), forward[case["outputs"][0]])
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        made = sampler(_settings(run), f"{vectors.folder / 'sampler.json'}: {name}")
        made.joint_steps = True
        labels = recorded[f"{name}.y"]
        # The authors double a guided batch and draw for both halves, of which only the first goes anywhere.
        draws = recorded.get(f"{name}.noise", torch.empty(0, len(labels)))[:, : len(labels)]
        noise = RecordedNoise([recorded[f"{name}.z"], *draws])
        yield compare(name, made.sample(noise, labels), recorded[f"{name}.final"], noise.left)


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    settings = {
        "path": run["path_type"].lower(),
        "prediction": run["prediction"],
        "mode": run["mode"].lower(),
        "steps": run["num_steps"],
        "integrator": integrator(run["sampling_method"]),
        "cfg": run["cfg_scale"],
        "cfg_channels": run.get("cfg_channels", GUIDED),
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
