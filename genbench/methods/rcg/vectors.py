"""RCG against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.mage.tokenizer import MAGETokenizer
from genbench.methods.mage.vectors import (
    Watched,
    codes,
    draws,
    network_of,
    settings_of,
    tokenizer_of,
    transformer,
)
from genbench.methods.rcg.network import RCG
from genbench.methods.rcg.sampler import RCGSampler
from genbench.methods.rcg.settings import RCGNetwork, RCGSettings, RDMNetwork
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


class _WatchedRCG(Watched[RCG, RCGSettings], RCGSampler):
    pass


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The transformer, both denoisers of representations, and every sampler run."""
    tokenizer, forward, recorded = tokenizer_of(vectors), vectors.tensors("forward"), vectors.tensors("sampler")
    plain = _sampler(vectors, "rdm", {}, tokenizer)
    with torch.inference_mode():
        yield from transformer(plain.network, forward, plain.network.first(forward["rep"]))
    yield _denoiser(plain, forward, "rdm/out")
    yield _denoiser(_sampler(vectors, "rdm_classcond", {}, tokenizer), forward, "rdm/out_classcond")
    for run in vectors.json("sampler.json")["runs"]:
        sampler = _sampler(vectors, run["rdm"], run, tokenizer)
        yield codes(run, sampler, torch.tensor(run["labels"]), recorded, draws(run, recorded))


@torch.inference_mode()
def _denoiser(sampler: RCGSampler, forward: Mapping[str, Tensor], name: str) -> Comparison:
    return compare(name, sampler.denoise(forward["rdm/x_t"], forward["rdm/t"], forward["rdm/labels"]), forward[name])


def _sampler(vectors: Vectors, rdm: str, run: Mapping[str, Any], tokenizer: MAGETokenizer) -> _WatchedRCG:
    state = vectors.tensors("mage") | {f"rdm.{key}": value for key, value in vectors.tensors(rdm).items()}
    return _WatchedRCG(
        network=network_of(vectors, RCGNetwork, rdm=_rdm(vectors, rdm)),
        settings=check(RCGSettings, settings_of(run, RCGSettings), str(vectors.folder / "sampler.json")),
        state=state,
        device=torch.device("cpu"),
        tokenizer=tokenizer,
    )


def _rdm(vectors: Vectors, name: str) -> dict[str, Any]:
    """A denoiser's arguments by the authors' configuration. Raises `ConfigError` for another kind of it."""
    where = f"{vectors.folder / 'config.json'}: {name}"
    given = vectors.config[name]
    params, network, embedder = given["params"], given["unet_config"], given["cond_stage_config"]
    if (params["parameterization"], params["timesteps"]) != ("x0", 1000):
        raise ConfigError(f"{where}: another parameterization or number of steps", hint="genbench has x0 of 1000 steps")
    told = {"n_classes": embedder["n_classes"], "context_channels": embedder["embed_dim"]}
    arguments = {key: value for key, value in {**params, **network}.items() if key in RDMNetwork.model_fields}
    return {**arguments, **(told if network.get("use_context") else {})}
