"""MAR against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.mar.sampler import MARSampler
from genbench.methods.mar.settings import MARNetwork, MARSettings
from genbench.methods.noise import RecordedNoise
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The transformer, the diffusion head, its schedule, and every sampler run."""
    forward, recorded, state = vectors.tensors("forward"), vectors.tensors("sampler"), vectors.tensors("mar")
    model = _sampler(vectors, {"diffusion_steps": len(forward["gen/betas"])}, state)
    yield from _transformer(model, forward)
    yield from _head(model, forward)
    yield from _schedule(model, forward)
    for run in vectors.json("sampler.json")["runs"]:
        name = run["name"]
        sampler = _sampler(vectors, _settings(run, vectors.config), state)
        noise = RecordedNoise(list(_draws(run, recorded, sampler.settings.diffusion_steps)))
        yield compare(name, sampler.sample(noise, torch.tensor(run["labels"])), recorded[f"{name}/latent"], noise.left)


@torch.inference_mode()
def _transformer(model: MARSampler, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    network, known, used = model.network, forward["mask"] == 0, forward["class_embedding_used"]
    embedded = network.class_emb(forward["labels"])
    null = (used == network.fake_latent).all(dim=1, keepdim=True)  # some classes are dropped, which labels do not say
    condition = torch.where(null, network.fake_latent, embedded)
    yield compare("class_embedding_used", condition, used)
    tokens = network.patchify(forward["latent"])
    yield compare("patchify", tokens, forward["patchify"])
    yield compare("unpatchify", network.unpatchify(tokens), forward["unpatchify"])
    encoded = network.encode(tokens, known, condition)
    yield compare("encoder_out", encoded, forward["encoder_out"])
    yield compare("decoder_out", network.decode(encoded, known), forward["decoder_out"])


@torch.inference_mode()
def _head(model: MARSampler, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    """The head's output, and with guidance of 2.5 that of a batch's first half for both halves' conditions."""
    x, t, z = (forward[f"diffloss/{name}"] for name in ("x_t", "t", "z"))
    yield compare("diffloss/net", model.denoise(x, t, z), forward["diffloss/net"])
    guided = next((name for name in forward if name.startswith("diffloss/net_cfg")), None)
    if guided is None:
        return
    half = x[: len(x) // 2]
    epsilon, share = model.denoise(torch.cat([half, half]), t, z).chunk(2, dim=1)
    conditional, null = epsilon.chunk(2)
    mixed = null + float(guided.removeprefix("diffloss/net_cfg")) * (conditional - null)
    yield compare(guided, torch.cat([torch.cat([mixed, mixed]), share], dim=1), forward[guided])


def _schedule(model: MARSampler, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    s = model.schedule
    variance = s.betas * (1 - s.previous) / (1 - s.alphas_cumprod)
    computed = {**s._asdict(), "posterior_variance": variance}
    for key, reference in forward.items():
        if key.startswith("gen/"):
            yield compare(key, computed[key.removeprefix("gen/")], reference)


def _settings(run: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    return {
        "iterations": run["num_iter"],
        "diffusion_steps": int(config["args"]["num_sampling_steps"]),
        "cfg": run["cfg"],
        "cfg_schedule": run["cfg_schedule"],
        "temperature": run["temperature"],
    }


def _draws(run: Mapping[str, Any], recorded: Mapping[str, Tensor], steps: int) -> Iterator[Tensor]:
    """Uniform draws that sort into the recorded order, then each iteration's: what it starts from, and a draw a step.

    The authors draw for both halves of a guided batch, of which the first one counts, and multiply the last step's
    by zero.
    """
    name, n = run["name"], run["B"]
    orders = recorded[f"{name}/orders"]
    yield orders.argsort(dim=1) / orders.shape[1]
    for number in range(run["n_noise"]):
        step = number % (steps + 1)
        if step == steps:
            continue
        draw = recorded[f"{name}/noise.{number:03d}"]
        if step and run["cfg"] != 1:
            draw = draw[: len(draw) // 2]
        yield draw.view(n, -1, draw.shape[1])


def _sampler(vectors: Vectors, settings: Mapping[str, Any], state: dict[str, Tensor]) -> MARSampler:
    given = {key: value for key, value in vectors.config["args"].items() if key in MARNetwork.model_fields}
    return MARSampler(
        network=check(MARNetwork, given, f"{vectors.folder / 'config.json'}: args").model_dump(),
        settings=check(MARSettings, settings, str(vectors.folder / "sampler.json")),
        state=state,
        device=torch.device("cpu"),
    )
