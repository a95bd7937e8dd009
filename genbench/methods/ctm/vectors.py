"""CTM against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.adm.vectors import created
from genbench.methods.consistency.sampler import network_time
from genbench.methods.ctm.sampler import CTMSampler
from genbench.methods.ctm.settings import CTMSettings
from genbench.methods.noise import RecordedNoise
from genbench.methods.preconditioning import SIGMA_DATA, edm_scalings
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check

_ARRANGEMENT = {
    "sigma_data": SIGMA_DATA,
    "inner_parametrization": "edm",
    "outer_parametrization": "euler",
    "rescaling": False,
}
"""How the network is surrounded in the released models."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The network with and without its second time, the denoiser, the jump, and every sampler run."""
    where = str(vectors.folder / "config.json")
    arrangement = vectors.config["diffusion_args"]
    for key, value in _ARRANGEMENT.items():
        if arrangement[key] != value:
            raise ConfigError(f"{where}: {key} {arrangement[key]!r}", hint=f"genbench has {value!r}")
    network = created(vectors.config["create_model_args"], arrangement["num_classes"], where)
    state, forward, recorded = (vectors.tensors(name) for name in ("unet", "forward", "sampler"))
    yield from _forward(_sampler(network, {}, state, where), forward)
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        where = f"{vectors.folder / 'sampler.json'}: {name}"
        sampler = _sampler(network, _settings(run, where), state, where)
        noise = RecordedNoise([recorded[f"{name}/noise.{i}"] for i in range(run["n_noise"])])
        labels = recorded.get(f"{name}/y", torch.zeros(len(noise)))
        yield compare(name, sampler.sample(noise, labels), recorded[f"{name}/image"], noise.left)


@torch.inference_mode()
def _forward(sampler: CTMSampler, case: Mapping[str, Tensor]) -> Iterator[Comparison]:
    x, t, s = case["x_t"], case["t"], case["s"]
    labels = case.get("y", torch.zeros(len(x)))
    inner = edm_scalings(t).inner.view(-1, 1, 1, 1) * x
    yield compare("model_out", sampler.evaluate(inner, network_time(t), labels, network_time(s)), case["model_out"])
    yield compare("model_out_no_s", sampler.evaluate(inner, network_time(t), labels), case["model_out_no_s"])
    yield compare("denoised", sampler.denoised(x, t, s, labels), case["denoised"])
    yield compare("G_theta", sampler.jump(x, t, s, labels), case["G_theta"])


def _settings(run: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    ways: dict[str, dict[str, Any]] = {
        "exact": {"ts": ",".join(map(str, run["ts"])) if run.get("ts") else None},
        "gamma_multistep": {"gamma": run.get("gamma")},
        "gamma": {"detour": f"{run.get('ind_1')},{run.get('ind_2')}"},
    }
    if run["sampler"] not in ways or run["clip_denoised"]:
        raise ConfigError(f"{where}: {run['sampler']}", hint=f"genbench has {', '.join(ways)}, not clipped on the way")
    shared = {name: run[name] for name in ("steps", "sigma_min", "sigma_max", "rho")}
    return {**shared, **ways[run["sampler"]], "clip": run["clip_output"]}


def _sampler(network: Mapping[str, Any], settings: dict[str, Any], state: dict[str, Tensor], where: str) -> CTMSampler:
    return CTMSampler(
        network=network, settings=check(CTMSettings, settings, where), state=state, device=torch.device("cpu")
    )
