"""LlamaGen against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.full_size import FullSize, thinned
from genbench.methods.latents.decoder import LatentDecoder
from genbench.methods.llamagen.network import LlamaGen
from genbench.methods.llamagen.quantiser import CodebookTokenizer
from genbench.methods.llamagen.sampler import LlamaGenSampler
from genbench.methods.llamagen.settings import (
    CodebookNetwork,
    LlamaGenNetwork,
    LlamaGenSettings,
    TokenTransformerNetwork,
)
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
    tokenizer = recorded_tokenizer(vectors)
    forward, recorded, state = vectors.tensors("forward"), vectors.tensors("sampler"), vectors.tensors("gpt")
    yield from replay_transformer(_sampler(vectors, {}, state, tokenizer).network, forward)
    yield from replay_tokenizer(tokenizer, forward)
    for run in vectors.json("sampler.json")["runs"]:
        settings = {"cfg": max(1.0, run["cfg_scale"]), **draw_settings(run)}  # any scale up to 1 is none
        yield replay_run(run, _sampler(vectors, settings, state, tokenizer), LatentDecoder(tokenizer), recorded)


@torch.inference_mode()
def replay_transformer(model: LlamaGen, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    """Embedded classes, rotations, what each layer gives, and the logits."""
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


def recorded_tokenizer(vectors: Vectors) -> CodebookTokenizer:
    """The tokenizer of ``vq.safetensors``. Raises `ConfigError` for arguments that it cannot have."""
    return CodebookTokenizer(_tokenizer_network(vectors), vectors.tensors("vq"), _CPU)


@torch.inference_mode()
def replay_tokenizer(tokenizer: CodebookTokenizer, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    """The tokenizer both ways: from an image to its code, and from a code to its image."""
    features = tokenizer.module.features(forward["vq/image"])
    yield compare("vq/h_after_quant_conv", features, forward["vq/h_after_quant_conv"])
    code = tokenizer.encode(forward["vq/image"])
    assert code.indices is not None
    yield compare("vq/indices", code.indices, forward["vq/indices"].view_as(code.indices))
    yield compare("vq/quant", code.latents, forward["vq/quant"])
    entries = tokenizer.quantiser.latents(forward["vq/indices"].view_as(code.indices), features.shape[2])
    yield compare("vq/codebook_entry", entries, forward["vq/codebook_entry"])
    yield compare("vq/decode_code", tokenizer.decode(entries), forward["vq/decode_code"])


class WatchedSampler(LlamaGenSampler):
    """Keeps the guided logits of every token."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.logits: list[Tensor] = []

    def guided(self, logits: Tensor, n: int, scale: float) -> Tensor:
        """As the sampler's."""
        self.logits.append(super().guided(logits, n, scale))
        return self.logits[-1]


def replay_run(
    run: Mapping[str, Any], sampler: WatchedSampler, decoder: LatentDecoder, recorded: Mapping[str, Tensor]
) -> Comparison:
    """Logits, probabilities, codes and image of one run, whose draws are its codes, and what the decoder starts from
    where that was recorded."""
    name = run["name"]
    codes = recorded[f"{name}/seq"].long()
    draws = [] if sampler.settings.greedy else list(codes.unbind(1))
    if f"{name}/start" in recorded:
        draws.append(recorded[f"{name}/start"])
    noise = RecordedNoise(draws)
    image = decoder(sampler.sample(noise, torch.tensor(run["labels"])), noise)
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


def draw_settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them, but for the scale of guidance."""
    return {
        "cfg_interval": run["cfg_interval"] if run["cfg_interval"] > -1 else None,
        "temperature": run["temperature"],
        "top_k": run["top_k"],
        "top_p": run["top_p"],
        "greedy": not run["sample_logits"],
    }


def _sampler(
    vectors: Vectors, settings: Mapping[str, Any], state: dict[str, Tensor], tokenizer: CodebookTokenizer
) -> WatchedSampler:
    return WatchedSampler(
        network=transformer_arguments(LlamaGenNetwork, vectors),
        settings=check(LlamaGenSettings, settings, str(vectors.folder / "sampler.json")),
        state=state,
        device=_CPU,
        tokenizer=tokenizer,
    )


def transformer_arguments(model: type[TokenTransformerNetwork], vectors: Vectors) -> dict[str, Any]:
    """Of the transformer that the vectors are of. Raises `ConfigError` for a network that genbench has not."""
    return _arguments(model, vectors.config["gpt_args"], f"{vectors.folder / 'config.json'}: gpt_args")


def _arguments(model: type[TokenTransformerNetwork], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The same of the arguments of the authors' constructor."""
    for name, value in _ONLY.items():
        if given.get(name, value) != value:
            raise ConfigError(f"{where}: {name} is {given[name]!r}", hint=f"genbench has {name} {value!r}")
    arguments = {key: value for key, value in given.items() if key in model.model_fields}
    return check(model, arguments, where).model_dump()


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
    arguments = _arguments(LlamaGenNetwork, network.config, f"{network.path}: config")
    model = build(lambda: LlamaGen(**arguments), network.state({}), _CPU, name="LlamaGen")
    recorded = network.tensors()
    logits = model(recorded["labels"], recorded["idx"])
    yield compare("logits", thinned(logits, recorded["logits_strided"]), recorded["logits_strided"])
