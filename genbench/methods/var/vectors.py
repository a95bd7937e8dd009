"""VAR against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.full_size import FullSize, thinned
from genbench.methods.networks import build
from genbench.methods.noise import RecordedNoise
from genbench.methods.var.network import VAR
from genbench.methods.var.quantiser import MultiScaleTokenizer
from genbench.methods.var.sampler import ScaleSampler, VARSampler
from genbench.methods.var.settings import MultiScaleNetwork, VARNetwork, VARSettings
from genbench.methods.vectors import Comparison, Vectors, compare, outputs_of, worst
from genbench.schema import check

_CPU = torch.device("cpu")
_OFFICIAL = {"ch_mult": [1, 1, 2, 2, 4], "num_res_blocks": 2}
"""What the authors' constructor of the tokenizer fixes; vectors of small ones record what was put in its place."""


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The tokenizer both ways, the transformer's logits of all scales, and every sampler run."""
    tokenizer = MultiScaleTokenizer(
        _tokenizer_network(
            vectors.config["vqvae_args"],
            vectors.config.get("vqvae_ddconfig_override", {}),
            f"{vectors.folder / 'config.json'}: vqvae_args",
        ),
        vectors.tensors("vqvae"),
        _CPU,
    )
    forward, recorded = vectors.tensors("forward"), vectors.tensors("sampler")
    yield from _tokenizer(tokenizer, forward)
    for name, file, arguments in (
        ("var", "transformer", vectors.config["var_args"]),
        ("var_nol2", "transformer_nol2", vectors.config.get("var_nol2_args")),
    ):
        if arguments is not None:
            model = _sampler(vectors, arguments, vectors.tensors(file), {}, tokenizer).network
            yield from _transformer(name, model, forward)
    state = vectors.tensors("transformer")
    for run in vectors.json("sampler.json")["runs"]:
        sampler = _sampler(vectors, vectors.config["var_args"], state, _settings(run), tokenizer)
        yield replay_run(run, sampler, _draws(run, recorded), recorded)


@torch.inference_mode()
def _tokenizer(tokenizer: MultiScaleTokenizer, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    features = tokenizer.module.features(forward["image"])
    yield compare("vae.f_after_quant_conv", features, forward["vae.f_after_quant_conv"])
    code = tokenizer.encode(forward["image"])
    recorded = torch.cat(list(series("vae.idx_Bl", forward)), dim=1)
    assert code.indices is not None
    yield compare("vae.idx_Bl", code.indices, recorded)
    sums = list(tokenizer.quantiser.sums(recorded))
    pairs = zip(sums, series("vae.f_hat", forward), strict=True)
    yield worst("vae.f_hat", [compare(str(scale), ours, theirs) for scale, (ours, theirs) in enumerate(pairs)])
    yield compare("vae.embed_to_fhat.last", code.latents, forward["vae.embed_to_fhat.last"])
    yield compare("vae.decoder_out_noclamp", tokenizer.decode(sums[-1]), forward["vae.decoder_out_noclamp"])
    images = tokenizer.decode(code.latents).clamp(-1, 1)
    for name in ("vae.idxBl_to_img", "vae.img_to_reconstructed_img"):
        yield compare(name, images, forward[name])
    yield compare("var.x_BLCv_wo_first_l", tokenizer.quantiser.inputs(recorded), forward["var.x_BLCv_wo_first_l"])


@torch.inference_mode()
def _transformer(name: str, model: VAR, forward: Mapping[str, Tensor]) -> Iterator[Comparison]:
    labels = forward["label_B"]
    if f"{name}.cond_BD" in forward:
        yield compare(f"{name}.cond_BD", model.class_emb(labels), forward[f"{name}.cond_BD"])
    logits = model(labels, forward["var.x_BLCv_wo_first_l"])
    yield compare(f"{name}.logits_BLV", logits, forward[f"{name}.logits_BLV"])


def replay_run(
    run: Mapping[str, Any],
    sampler: ScaleSampler[Any, Any, Any],
    draws: Iterable[Tensor],
    recorded: Mapping[str, Tensor],
) -> Comparison:
    """Guided logits, probabilities, latents and image of one run."""
    name, noise = run["name"], RecordedNoise(list(draws))
    outputs = outputs_of({"head": sampler.network.head})["head"]
    latents = sampler.sample(noise, torch.tensor(run["label_B"]))
    image = (sampler.tokenizer.decode(latents).clamp(-1, 1) + 1) / 2
    *_, last = series(f"{name}/f_hat", recorded)
    found = [compare("f_hat", latents, last), compare("image", image, recorded[f"{name}/image"])]
    logits = [sampler.guided(output, sampler.strength(scale)) for scale, output in enumerate(outputs)]
    for scale, expected in enumerate(series(f"{name}/logits_cfg", recorded)):
        found.append(compare(f"logits.{scale}", logits[scale], expected))
    for scale, expected in enumerate(series(f"{name}/probs", recorded)):
        found.append(compare(f"probs.{scale}", sampler.drawable(logits[scale], scale).softmax(-1), expected))
    return worst(name, found)._replace(draws_left=noise.left)


def _draws(run: Mapping[str, Any], recorded: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """What the sampler draws: codes, or for mixtures the uniform draws whose -log1p(-u) is the recorded exponential.

    The authors draw codes for mixtures too, and use them for nothing.
    """
    if not run["more_smooth"]:
        yield from series(f"{run['name']}/idx", recorded)
        return
    for number, kind in enumerate(run["draw_order"]):
        if kind != "multinomial":
            yield -torch.expm1(-recorded[f"{run['name']}/draw.{number}.{kind}"].double())


def series(name: str, tensors: Mapping[str, Tensor]) -> Iterator[Tensor]:
    """``name.0``, ``name.1`` and so on."""
    number = 0
    while (key := f"{name}.{number}") in tensors:
        yield tensors[key]
        number += 1


def _settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded run's settings as a preset would give them; the authors switch top-p off by 0."""
    return {
        "cfg": run["cfg"],
        "top_k": run["top_k"],
        "top_p": run["top_p"] or 1.0,
        "more_smooth": run["more_smooth"],
    }


def _sampler(
    vectors: Vectors,
    arguments: Mapping[str, Any],
    state: dict[str, Tensor],
    settings: Mapping[str, Any],
    tokenizer: MultiScaleTokenizer,
) -> VARSampler:
    codes = {"vocab_size": tokenizer.codebook_size, "code_channels": tokenizer.quantiser.channels}
    given = {key: value for key, value in arguments.items() if key in VARNetwork.model_fields}
    network = check(VARNetwork, given | codes, f"{vectors.folder / 'config.json'}: var_args")
    return VARSampler(
        network=network.model_dump(),
        settings=check(VARSettings, settings, str(vectors.folder / "sampler.json")),
        state=state,
        device=_CPU,
        tokenizer=tokenizer,
    )


def _tokenizer_network(given: Mapping[str, Any], override: Mapping[str, Any], where: str) -> MultiScaleNetwork:
    """The tokenizer by the arguments of the authors' constructor."""
    fixed = {key: override.get(key, value) for key, value in _OFFICIAL.items()}
    if given["share_quant_resi"] < 2:
        raise ConfigError(f"{where}: share_quant_resi {given['share_quant_resi']}", hint="genbench has 2 phis or more")
    network = {
        "widths": [given["ch"] * multiplier for multiplier in fixed["ch_mult"]],
        "blocks": fixed["num_res_blocks"],
        "attention": [len(fixed["ch_mult"]) - 1],
        "codebook_size": given["vocab_size"],
        "code_channels": given["z_channels"],
        "patch_nums": given["v_patch_nums"],
        "kernel": given.get("quant_conv_ks", 3),
        "phis": given["share_quant_resi"],
        "phi_share": given.get("quant_resi", 0.5),
        "cosine": given.get("using_znorm", False),
    }
    return check(MultiScaleNetwork, network, where)


def replay_full_size(network: FullSize) -> Iterator[Comparison]:
    """The official transformer's logits of all scales, or the official tokenizer both ways."""
    if network.config["cls"] == "VAR":
        return _full_transformer(network)
    return _full_tokenizer(network)


@torch.inference_mode()
def _full_transformer(network: FullSize) -> Iterator[Comparison]:
    given = {key: value for key, value in network.config.items() if key in VARNetwork.model_fields}
    arguments = check(VARNetwork, given, f"{network.path}: config").model_dump()
    with torch.device("meta"):
        buffers = dict(VAR(**arguments).named_buffers())
    model = build(lambda: VAR(**arguments), network.state(buffers), _CPU, name="VAR")
    recorded = network.tensors()
    labels, tokens = recorded["label_B"], sum(p * p for p in model.patch_nums) - 1
    inputs = 0.5 * torch.randn(len(labels), tokens, arguments["code_channels"], generator=network.generator())
    yield compare("logits", thinned(model(labels, inputs), recorded["logits_strided"]), recorded["logits_strided"])


@torch.inference_mode()
def _full_tokenizer(network: FullSize) -> Iterator[Comparison]:
    arguments = _tokenizer_network(network.config, network.config, f"{network.path}: config")
    tokenizer = MultiScaleTokenizer(arguments, network.state({}), _CPU)
    recorded, generator = network.tensors(), network.generator()
    *_, total = tokenizer.quantiser.sums(recorded["idx"])
    yield compare("f_hat", total, recorded["f_hat"])
    inputs = tokenizer.quantiser.inputs(recorded["idx"])
    yield compare("var_input", thinned(inputs, recorded["var_input_strided"]), recorded["var_input_strided"])
    images = tokenizer.decode(total).clamp(-1, 1)
    yield compare("image", thinned(images, recorded["image_strided4"]), recorded["image_strided4"])
    for p in arguments.patch_nums:  # the image comes after the indices in the generator's stream
        torch.randint(0, arguments.codebook_size, (1, p * p), generator=generator)
    side = arguments.patch_nums[-1] * arguments.factor
    features = tokenizer.module.features(torch.rand(1, 3, side, side, generator=generator) * 2 - 1)
    yield compare("enc_f", features, recorded["enc_f"])
    code = tokenizer.quantiser(recorded["enc_f"])
    yield compare("enc_idx", code.indices, recorded["enc_idx"])
