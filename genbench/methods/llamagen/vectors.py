"""LlamaGen against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.full_size import FullSize, thinned
from genbench.methods.llamagen.network import LlamaGen
from genbench.methods.llamagen.quantiser import CodebookTokenizer
from genbench.methods.llamagen.sampler import LlamaGenSampler
from genbench.methods.llamagen.settings import CodebookNetwork, LlamaGenNetwork, LlamaGenSettings
from genbench.methods.networks import build
from genbench.methods.noise import RecordedNoise
from genbench.methods.transformer.rotary import BASE
from genbench.methods.vectors import Comparison, Vectors, compare, worst
from genbench.schema import check

_CPU = torch.device("cpu")
_ONLY = {"model_type": "c2i", "cls_token_num": 1, "ffn_dim_multiplier": None, "rope_base": BASE}
"""Arguments of the authors' class that the released models of classes have one value of."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The transformer, the tokenizer both ways, and every sampler run."""
    tokenizer = CodebookTokenizer(_tokenizer_network(vectors), vectors.tensors("vq"), _CPU)
    forward, recorded, state = vectors.tensors("forward"), vectors.tensors("sampler"), vectors.tensors("gpt")
    yield from _transformer(_sampler(vectors, {}, state, tokenizer).network, forward)
    yield from _tokenizer(tokenizer, forward)
    for run in vectors.json("sampler.json")["runs"]:
        yield _run(run, _sampler(vectors, _settings(run), state, tokenizer), tokenizer, recorded)


@torch.inference_mode()
def _transformer(model: LlamaGen, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    labels, indices = forward["gpt/labels"], forward["gpt/idx"]
    yield compare("gpt/cls_embedding", model.cls_embedding(labels)[:, None], forward["gpt/cls_embedding"])
    cos, sin = model.rotation(_CPU)
    yield compare("gpt/freqs_cis", torch.stack([cos[:, ::2], sin[:, ::2]], dim=-1), forward["gpt/freqs_cis"])
    outputs: list[Tensor] = []
    hooks = [layer.register_forward_hook(lambda _, __, output: outputs.append(output)) for layer in model.layers]
    logits = model(labels, indices)
    for hook in hooks:
        hook.remove()
    for number, output in enumerate(outputs):
        yield compare(f"gpt/block_out.{number}", output, forward[f"gpt/block_out.{number}"])
    yield compare("gpt/logits", logits, forward["gpt/logits"])


@torch.inference_mode()
def _tokenizer(tokenizer: CodebookTokenizer, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    features = tokenizer.module.features(forward["vq/image"])
    yield compare("vq/h_after_quant_conv", features, forward["vq/h_after_quant_conv"])
    code = tokenizer.encode(forward["vq/image"])
    assert code.indices is not None
    yield compare("vq/indices", code.indices, forward["vq/indices"].view_as(code.indices))
    yield compare("vq/quant", code.latents, forward["vq/quant"])
    entries = tokenizer.quantiser.latents(forward["vq/indices"].view_as(code.indices), features.shape[2])
    yield compare("vq/codebook_entry", entries, forward["vq/codebook_entry"])
    yield compare("vq/decode_code", tokenizer.decode(entries), forward["vq/decode_code"])


class _Watched(LlamaGenSampler):
    """Keeps the guided logits of every token."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.logits: list[Tensor] = []

    def guided(self, logits: Tensor, n: int) -> Tensor:
        """As the sampler's."""
        self.logits.append(super().guided(logits, n))
        return self.logits[-1]


def _run(
    run: Mapping[str, Any], sampler: _Watched, tokenizer: CodebookTokenizer, recorded: Mapping[str, Tensor]
) -> Comparison:
    """Logits, probabilities, codes and image of one run, whose draws are its codes."""
    name = run["name"]
    codes = recorded[f"{name}/seq"].long()
    noise = RecordedNoise([] if sampler.settings.greedy else list(codes.unbind(1)))
    image = tokenizer.decode(sampler.sample(noise, torch.tensor(run["labels"])))
    logits = torch.stack(sampler.logits, dim=1)
    probabilities = sampler.probabilities(logits)
    found = [
        compare("logits_guided", logits, recorded[f"{name}/logits_guided"]),
        compare("image", image, recorded[f"{name}/image"]),
    ]
    if f"{name}/probs" in recorded:
        found.append(compare("probs", probabilities, recorded[f"{name}/probs"]))
    if sampler.settings.greedy:
        found.append(compare("seq", probabilities.argmax(-1), codes))
    return worst(name, found)._replace(draws_left=noise.left)


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them; the authors switch guidance off by any scale up to 1."""
    return {
        "cfg": max(1.0, run["cfg_scale"]),
        "cfg_interval": run["cfg_interval"] if run["cfg_interval"] > -1 else None,
        "temperature": run["temperature"],
        "top_k": run["top_k"],
        "top_p": run["top_p"],
        "greedy": not run["sample_logits"],
    }


def _sampler(
    vectors: Vectors, settings: Mapping[str, Any], state: dict[str, Tensor], tokenizer: CodebookTokenizer
) -> _Watched:
    return _Watched(
        network=_network(vectors.config["gpt_args"], f"{vectors.folder / 'config.json'}: gpt_args"),
        settings=check(LlamaGenSettings, settings, str(vectors.folder / "sampler.json")),
        state=state,
        device=_CPU,
        tokenizer=tokenizer,
    )


def _network(given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The transformer by the arguments of the authors' constructor. Raises `ConfigError` for another network."""
    for name, value in _ONLY.items():
        if given.get(name, value) != value:
            raise ConfigError(f"{where}: {name} is {given[name]!r}", hint=f"genbench has {name} {value!r}")
    arguments = {key: value for key, value in given.items() if key in LlamaGenNetwork.model_fields}
    return check(LlamaGenNetwork, arguments, where).model_dump()


def _tokenizer_network(vectors: Vectors) -> CodebookNetwork:
    """The tokenizer by the arguments of the authors' constructor, and what small ones have in place of its defaults."""
    where = f"{vectors.folder / 'config.json'}: vq_args"
    given, override = vectors.config["vq_args"], vectors.config.get("vq_override", {})
    widths = given["encoder_ch_mult"]
    if widths != given["decoder_ch_mult"]:
        raise ConfigError(f"{where}: encoder_ch_mult is not decoder_ch_mult", hint="genbench has one for both")
    network = {
        "widths": [override.get("ch", 128) * multiplier for multiplier in widths],
        "blocks": override.get("num_res_blocks", 2),
        "attention": [len(widths) - 1],
        "codebook_size": given["codebook_size"],
        "code_channels": given["codebook_embed_dim"],
        "latent_channels": given["z_channels"],
        "unit": given["codebook_l2_norm"],
    }
    return check(CodebookNetwork, network, where)


@torch.inference_mode()
def replay_full_size(network: FullSize) -> Iterator[Comparison]:
    """The official transformer's logits of every token."""
    arguments = _network(network.config, f"{network.path}: config")
    model = build(lambda: LlamaGen(**arguments), network.state({}), _CPU, name="LlamaGen")
    recorded = network.tensors()
    logits = model(recorded["labels"], recorded["idx"])
    yield compare("logits", thinned(logits, recorded["logits_strided"]), recorded["logits_strided"])
