"""MAGE against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic

import torch
from torch import Tensor

from genbench.methods.mage.network import MAGE
from genbench.methods.mage.sampler import M, MAGESampler, MaskedCodeSampler, S
from genbench.methods.mage.settings import MAGENetwork, MAGESettings, MAGETokenizerNetwork
from genbench.methods.mage.tokenizer import MAGETokenizer
from genbench.methods.noise import RecordedNoise
from genbench.methods.vectors import Comparison, Vectors, compare, worst
from genbench.schema import check

_CPU = torch.device("cpu")


class Watched(MaskedCodeSampler[M, S], Generic[M, S]):
    """Keeps the logits of every iteration."""

    def prepare(self) -> None:
        """As the sampler's; nothing is kept yet."""
        super().prepare()
        self.seen: list[Tensor] = []

    def logits(self, codes: Tensor, first: Tensor | None, share: float) -> Tensor:
        """As the sampler's."""
        self.seen.append(super().logits(codes, first, share))
        return self.seen[-1]


class _WatchedMAGE(Watched[MAGE, MAGESettings], MAGESampler):
    pass


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The transformer, the tokenizer both ways, and every sampler run."""
    tokenizer, forward, recorded = tokenizer_of(vectors), vectors.tensors("forward"), vectors.tensors("sampler")
    arguments = network_of(vectors, MAGENetwork)
    state = vectors.tensors("mage")

    def sampler(run: Mapping[str, Any]) -> _WatchedMAGE:
        settings = check(MAGESettings, settings_of(run, MAGESettings), str(vectors.folder / "sampler.json"))
        return _WatchedMAGE(network=arguments, settings=settings, state=state, device=_CPU, tokenizer=tokenizer)

    yield from transformer(sampler({}).network, forward, None)
    yield from _tokenizer(tokenizer, forward)
    for run in vectors.json("sampler.json")["runs"]:
        labels = torch.zeros(run["B"], dtype=torch.int64)
        yield codes(run, sampler(run), labels, recorded, draws(run, recorded))


def tokenizer_of(vectors: Vectors) -> MAGETokenizer:
    """The folder's tokenizer, of the arguments of the authors' constructor."""
    given = vectors.config["vqgan"]
    network = {
        "widths": [given["ch"] * multiplier for multiplier in given["ch_mult"]],
        "blocks": given["num_res_blocks"],
        "groups": given["norm_num_groups"],
        "codebook_size": given["n_embed"],
        "code_channels": given["z_channels"],
    }
    where = f"{vectors.folder / 'config.json'}: vqgan"
    return MAGETokenizer(check(MAGETokenizerNetwork, network, where), vectors.tensors("vqgan"), _CPU)


def network_of(vectors: Vectors, model: type[MAGENetwork], **more: Any) -> dict[str, Any]:
    """The transformer's arguments by those of the authors' constructor, which takes its codes from the tokenizer."""
    given = {key: value for key, value in vectors.config["args"].items() if key in model.model_fields}
    whole = {**given, **more, "codebook_size": vectors.config["vqgan"]["n_embed"]}
    return check(model, whole, f"{vectors.folder / 'config.json'}: args").model_dump()


def settings_of(run: Mapping[str, Any], model: type[MAGESettings]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them."""
    return {key: value for key, value in run.items() if key in model.model_fields}


@torch.inference_mode()
def transformer(network: MAGE, forward: Mapping[str, Tensor], first: Tensor | None) -> Iterator[Comparison]:
    """What the encoder gives and the logits, of codes of which some are masked."""
    encoded: list[Tensor] = []
    hook = network.norm.register_forward_hook(lambda _module, _inputs, output: encoded.append(output))
    logits = network(forward["codes"], first)
    hook.remove()
    yield compare("encoder_out", encoded[0], forward["encoder_out"])
    yield compare("logits", logits, forward["logits"])


@torch.inference_mode()
def _tokenizer(tokenizer: MAGETokenizer, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    """Both ways; the authors' images are in [0, 1]."""
    images = 2 * forward["vq/image"] - 1
    yield compare("vq/features", tokenizer.module.features(images), forward["vq/features"])
    code = tokenizer.encode(images)
    assert code.indices is not None
    yield compare("vq/indices", code.indices, forward["vq/indices"])
    yield compare("vq/quant", code.latents, forward["vq/quant"])
    yield compare("vq/decoded", (tokenizer.decode(code.latents) + 1) / 2, forward["vq/decoded"])


def draws(run: Mapping[str, Any], recorded: Mapping[str, Tensor]) -> list[Tensor]:
    """A run's recorded draws in their order, normal ones as rows; the last is of noise that is multiplied by zero."""
    found = [recorded[f"{run['name']}/draw.{number:03d}"] for number in range(len(run["draws"]) - 1)]
    return [draw.flatten(1) for draw in found]


def codes(
    run: Mapping[str, Any], sampler: Watched[M, S], labels: Tensor, recorded: Mapping[str, Tensor], drawn: list[Tensor]
) -> Comparison:
    """First and last logits, the codes and the image of one run that replays what was drawn."""
    name, tokenizer, noise = run["name"], sampler.tokenizer, RecordedNoise(drawn)
    latents = sampler.sample(noise, labels)
    found = [
        compare("logits_first", sampler.seen[0], recorded[f"{name}/logits_first"]),
        compare("logits_last", sampler.seen[-1], recorded[f"{name}/logits_last"]),
        compare("ids", latents, tokenizer.quantiser.latents(recorded[f"{name}/ids"])),
        compare("image", (tokenizer.decode(latents) + 1) / 2, recorded[f"{name}/image"]),
    ]
    return worst(name, found)._replace(draws_left=noise.left)
