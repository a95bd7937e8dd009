"""D-AR against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.dar.sampler import DARSampler
from genbench.methods.dar.settings import DARNetwork, DARSettings, DARTokenizerNetwork, FlowNetwork
from genbench.methods.dar.tokenizer import DARTokenizer
from genbench.methods.latents.decoder import LatentDecoder
from genbench.methods.llamagen.vectors import (
    WatchedSampler,
    draw_settings,
    replay_run,
    replay_transformer,
    transformer_arguments,
)
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check

_CPU = torch.device("cpu")
_ONLY = {"query_low_rank": True, "vq_enable": True}
_ONLY_FLOW = {"in_dim": 3, "out_dim": 3, "mlp_head": False, "share_time_encoding": False}
"""What the authors' configuration of the released tokenizer has one value of."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The transformer, the tokenizer's parts, and every sampler run."""
    tokenizer = DARTokenizer(_tokenizer_network(vectors), vectors.tensors("tokenizer"), _CPU)
    forward, recorded, state = vectors.tensors("forward"), vectors.tensors("sampler"), vectors.tensors("gpt")
    yield from replay_transformer(_sampler(vectors, {}, state, tokenizer).network, forward)
    yield from _tokenizer(tokenizer, forward)
    for run in vectors.json("sampler.json")["runs"]:
        sampler = _sampler(vectors, {**_guidance(run["cfg_scale"]), **draw_settings(run)}, state, tokenizer)
        yield replay_run(run, sampler, LatentDecoder(tokenizer), recorded)


@torch.inference_mode()
def _tokenizer(tokenizer: DARTokenizer, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    given = {key.removeprefix("tokenizer/"): value for key, value in forward.items() if key.startswith("tokenizer/")}
    module, code = tokenizer.module, tokenizer.encode(given["image"])
    assert code.indices is not None
    entries = tokenizer.quantiser.latents(given["codes"].long(), 1)
    conditions = module.conditions(entries)
    computed = {
        "features": module.features(given["image"]),
        "indices": code.indices,
        "latents": code.latents,
        "entries": entries,
        "conditions": conditions.flatten(1, 2),
        "velocity": module.diff_decoder.net(given["x"], given["t"], conditions[:, 1]),
        "decoded": tokenizer.decode_from(given["start"], entries),
    }
    for name, value in computed.items():
        yield compare(f"tokenizer/{name}", value, given[name])


class _Watched(WatchedSampler, DARSampler):
    """D-AR's sampler that keeps the guided logits."""


def _guidance(scales: str) -> dict[str, float]:
    """The authors' one number, or first and last with a comma between."""
    return dict(zip(("cfg", "cfg_end"), map(float, scales.split(",")), strict=False))


def _sampler(
    vectors: Vectors, settings: Mapping[str, Any], state: dict[str, Tensor], tokenizer: DARTokenizer
) -> _Watched:
    return _Watched(
        network=transformer_arguments(DARNetwork, vectors),
        settings=check(DARSettings, settings, str(vectors.folder / "sampler.json")),
        state=state,
        device=_CPU,
        tokenizer=tokenizer,
    )


def _tokenizer_network(vectors: Vectors) -> DARTokenizerNetwork:
    """By the authors' configuration, and what small networks have in place of constants of their code.

    Raises `ConfigError` for a tokenizer that genbench has not.
    """
    where = f"{vectors.folder / 'config.json'}: tokenizer_config"
    given = vectors.config["tokenizer_config"]
    flow = given["diff_decoder"]
    tokens, steps = given["num_all_queries"], given["num_denoising_steps"]
    expected = {
        **_ONLY,
        "num_query_groups": steps,
        "queries_per_step": tokens // steps,
        "diff_decoder": {**flow, **_ONLY_FLOW, "cond_dim": given["decoder_dim"]},
    }
    for name, value in expected.items():
        if given.get(name, value) != value:
            raise ConfigError(f"{where}: {name} is {given[name]!r}", hint=f"genbench has {name} {value!r}")
    arguments = {key: value for key, value in given.items() if key in DARTokenizerNetwork.model_fields}
    arguments["diff_decoder"] = {key: value for key, value in flow.items() if key in FlowNetwork.model_fields}
    if "head_dim" in (override := vectors.config.get("tokenizer_override", {})):
        arguments["head_dim"] = override["head_dim"]
    return check(DARTokenizerNetwork, arguments, where)
