"""CTM against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.adm.vectors import created
from genbench.methods.consistency.sampler import network_time
from genbench.methods.ctm.sampler import CTMSampler, CTMSongSampler
from genbench.methods.ctm.settings import CTMSettings, CTMSongNetwork
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

_DDPMPP = {"channel_mult_noise": 1, "encoder_type": "standard", "resample_filter": (1, 1)}
"""What the authors' ``arch`` of the released models stands for, ``ddpmpp``."""

_CPU = torch.device("cpu")


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The ADM U-Net with and without its second time, the denoiser, the jump, and every sampler run."""
    where = str(vectors.folder / "config.json")
    arrangement = _arrangement(vectors)
    network = created(vectors.config["create_model_args"], arrangement["num_classes"], where)

    def sampler(settings: CTMSettings) -> CTMSampler:
        return CTMSampler(network=network, settings=settings, state=vectors.tensors("unet"), device=_CPU)

    plain, forward = sampler(CTMSettings()), vectors.tensors("forward")
    yield from _forward(plain, forward)
    yield compare("model_out_no_s", _untargeted(plain, forward), forward["model_out_no_s"])
    yield from _runs(vectors, lambda run, where: sampler(_settings(run, where)))


def replay_song(vectors: Vectors) -> Iterator[Comparison]:
    """DDPM++ with and without classes: the network, the denoiser, the jump, and every sampler run."""
    _arrangement(vectors)

    def sampler(model: str, settings: CTMSettings) -> CTMSongSampler:
        where = f"{vectors.folder / 'config.json'}: {model}"
        network = check(CTMSongNetwork, {**_DDPMPP, **vectors.config["models"][model]}, where)
        state = {key.removeprefix("model."): value for key, value in vectors.tensors(model).items()}
        return CTMSongSampler(network=network.model_dump(), settings=settings, state=state, device=_CPU)

    forward = vectors.tensors("forward")
    for model in vectors.config["models"]:
        case = {key.removeprefix(f"{model}/"): value for key, value in forward.items() if key.startswith(f"{model}/")}
        for comparison in _forward(sampler(model, CTMSettings()), case):
            yield comparison._replace(name=f"{model}/{comparison.name}")
    yield from _runs(vectors, lambda run, where: sampler(run["model"], _settings(run, where)))


def _arrangement(vectors: Vectors) -> Mapping[str, Any]:
    """How the networks are surrounded; raises `ConfigError` where it is not as in the released models."""
    arrangement: Mapping[str, Any] = vectors.config["diffusion_args"]
    for key, value in _ARRANGEMENT.items():
        if arrangement[key] != value:
            where = vectors.folder / "config.json"
            raise ConfigError(f"{where}: {key} {arrangement[key]!r}", hint=f"genbench has {value!r}")
    return arrangement


def _runs(
    vectors: Vectors, sampler: Callable[[Mapping[str, Any], str], CTMSampler | CTMSongSampler]
) -> Iterator[Comparison]:
    recorded = vectors.tensors("sampler")
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        noise = RecordedNoise([recorded[f"{name}/noise.{i}"] for i in range(run["n_noise"])])
        labels = recorded.get(f"{name}/y", torch.zeros(len(noise), dtype=torch.int64))
        images = sampler(run, f"{vectors.folder / 'sampler.json'}: {name}").sample(noise, labels)
        yield compare(name, images, recorded[f"{name}/image"], noise.left)


@torch.inference_mode()
def _forward(sampler: CTMSampler | CTMSongSampler, case: Mapping[str, Tensor]) -> Iterator[Comparison]:
    x, t, s = case["x_t"], case["t"], case["s"]
    labels = case.get("y", torch.zeros(len(x), dtype=torch.int64))
    inner = edm_scalings(t).inner.view(-1, 1, 1, 1) * x
    yield compare("model_out", sampler.evaluate(inner, network_time(t), labels, network_time(s)), case["model_out"])
    yield compare("denoised", sampler.denoised(x, t, s, labels), case["denoised"])
    yield compare("G_theta", sampler.jump(x, t, s, labels), case["G_theta"])


@torch.inference_mode()
def _untargeted(sampler: CTMSampler, case: Mapping[str, Tensor]) -> Tensor:
    """What the network says that is told no second time."""
    x, t = case["x_t"], case["t"]
    return sampler.evaluate(edm_scalings(t).inner.view(-1, 1, 1, 1) * x, network_time(t), case["y"])


def _settings(run: Mapping[str, Any], where: str) -> CTMSettings:
    """A recorded run's settings."""
    ways: dict[str, dict[str, Any]] = {
        "exact": {"ts": ",".join(map(str, run["ts"])) if run.get("ts") else None},
        "gamma_multistep": {"gamma": run.get("gamma")},
        "gamma": {"detour": f"{run.get('ind_1')},{run.get('ind_2')}"},
    }
    if run["sampler"] not in ways or run["clip_denoised"]:
        raise ConfigError(f"{where}: {run['sampler']}", hint=f"genbench has {', '.join(ways)}, not clipped on the way")
    shared = {name: run[name] for name in ("steps", "sigma_min", "sigma_max", "rho")}
    return check(CTMSettings, {**shared, **ways[run["sampler"]], "clip": run["clip_output"]}, where)
