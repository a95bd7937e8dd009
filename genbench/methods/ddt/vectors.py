"""DDT against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.ddt.network import DDT
from genbench.methods.ddt.sampler import DDTSampler
from genbench.methods.ddt.settings import DDTNetwork, DDTSettings
from genbench.methods.noise import RecordedNoise
from genbench.methods.transformer.rotary import scaled_rotation
from genbench.methods.vectors import Comparison, Vectors, compare, worst
from genbench.schema import check

_SAMPLERS = {
    "stateful_flow_matching.sampling.EulerSampler": "euler",
    "stateful_flow_matching.adam_sampling.AdamLMSampler": "adams",
    "stateful_flow_matching.sharing_sampling.EulerSampler": "similarity",
}
_STEP_NOISE = {"ode_step_fn": "none", "sde_preserve_step_fn": "preserve"}


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """Every forward case and sampler run."""
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    runs = vectors.json("sampler.json")["runs"]
    side = recorded[f"{runs[0]['name']}.z"].shape[-1]
    network = _sampler(vectors, side, {}).network
    for case in vectors.config["forward_cases"]:
        computed = _forward(network, case, forward)
        pairs = zip(case["outputs"], computed, strict=True)
        yield worst(case["name"], [compare(name, value, forward[name]) for name, value in pairs])
    for run in runs:
        name = run["name"]
        where = f"{vectors.folder / 'sampler.json'}: {name}"
        sampler = _sampler(vectors, side, _settings(run, where), where)
        # What the authors' code chose by float32 rounding and by one device's random templates is taken over.
        sampler.slope_weights = recorded.get(f"{name}.solver_coeffs")
        if f"{name}.recompute_timesteps" in recorded:
            sampler.refreshed = recorded[f"{name}.recompute_timesteps"].tolist()
        noise = RecordedNoise([recorded[f"{name}.z"], *recorded.get(f"{name}.noise", [])])
        yield compare(name, sampler.sample(noise, recorded[f"{name}.y"]), recorded[f"{name}.final"], noise.left)


@torch.inference_mode()
def _forward(network: DDT, case: Mapping[str, Any], forward: Mapping[str, Tensor]) -> list[Tensor]:
    """What a case's outputs hold: (velocity, state), the velocity of a given state, or the table of rotations."""
    if "inputs" not in case:
        side = forward["x"].shape[-1] // network.patch_size
        cos, sin = scaled_rotation(network.head, side, side, torch.device("cpu"))
        return [cos[:, ::2], sin[:, ::2]]
    x, t, y, *state = (forward[name.removesuffix(" reversed")] for name in case["inputs"])
    if state:
        return [network.decode(x, state[0])]
    encoded = network.encode(x, t, y)
    return [network.decode(x, encoded), encoded][: len(case["outputs"])]


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    sampler, step = _SAMPLERS.get(run["sampler"]), _STEP_NOISE.get(run.get("step_fn", "ode_step_fn"))
    if sampler is None or step is None or run["guidance_fn"] != "simple_guidance_fn":
        raise ConfigError(
            f"{where}: {run['sampler']} with {run.get('step_fn')} and {run['guidance_fn']}",
            hint=f"genbench has {', '.join(_SAMPLERS)} with {', '.join(_STEP_NOISE)} and simple_guidance_fn",
        )
    return {
        "steps": run["num_steps"],
        "last_step": run["last_step"],
        "shift": run["timeshift"],
        "order": run["order"] if sampler == "adams" else 1,
        "noise": step,
        "cfg": run["guidance"],
        "cfg_start": run["guidance_interval_min"],
        "cfg_end": run["guidance_interval_max"],
        "share": run["state_refresh_rate"],
        "share_by": "similarity" if sampler == "similarity" else "count",
    }


def _sampler(vectors: Vectors, side: int, settings: dict[str, Any], where: str = "settings") -> DDTSampler:
    arguments = {**vectors.config["modules"]["model"], "input_size": side}
    network = check(DDTNetwork, arguments, f"{vectors.folder / 'config.json'}: modules.model")
    return DDTSampler(
        network=network.model_dump(),
        settings=check(DDTSettings, settings, where),
        state=vectors.tensors("state"),
        device=torch.device("cpu"),
    )
