"""Autoencoders against what diffusers and the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genbench.methods.latents.autoencoder import Autoencoder
from genbench.methods.latents.settings import AutoencoderNetwork
from genbench.methods.vectors import Comparison, Vectors, compare, worst
from genbench.schema import check

_OFFICIAL = {"ch": 128, "norm_num_groups": 32, "num_res_blocks": 2, "resolution": 256, "enc_attn_resolutions": [16]}
"""Defaults of the latent-diffusion code's constructor, as LightningDiT keeps them."""


def replay_sd(vectors: Vectors) -> Iterator[Comparison]:
    """SD-VAE: the decoder of scaled latents, and the encoder. Pixels follow from what is decoded."""
    given = vectors.config["modules"]["model"]
    network = {
        "widths": given["block_out_channels"],
        "latent_channels": given["latent_channels"],
        "blocks": given["layers_per_block"],
        "groups": given["norm_num_groups"],
    }
    yield from _replay(vectors, network, scale=given["scaling_factor"])


def replay_ldm(vectors: Vectors) -> Iterator[Comparison]:
    """Autoencoders in the layout of the latent-diffusion code: decoder, encoder, and decoding of normalised latents."""
    given = vectors.config["modules"]["model"]
    patched = {**_OFFICIAL, **given.get("patched", {})}
    sides = [patched["resolution"] >> level for level in range(len(given["ch_mult"]))]
    network = {
        "widths": [patched["ch"] * multiplier for multiplier in given["ch_mult"]],
        "latent_channels": given["embed_dim"],
        "blocks": patched["num_res_blocks"],
        "groups": patched["norm_num_groups"],
        "attention": [level for level, side in enumerate(sides) if side in patched["enc_attn_resolutions"]],
    }
    yield from _replay(vectors, network, scale=1.0)


def _replay(vectors: Vectors, network: Mapping[str, Any], *, scale: float) -> Iterator[Comparison]:
    arguments = check(AutoencoderNetwork, network, f"{vectors.folder / 'config.json'}: modules.model")
    model = Autoencoder(arguments, vectors.tensors("state"), torch.device("cpu"))
    forward = vectors.tensors("forward")
    yield compare("decode", model.decode(forward["z"] / scale), forward["dec"])
    mean, log_variance = model.posterior(forward["img"])
    computed = {"enc.mean": mean, "enc.logvar": log_variance, "enc.std": (log_variance / 2).exp()}
    yield worst("encode", (compare(k, v, forward[k]) for k, v in computed.items() if k in forward))
    if "dec_denorm" in forward:
        latents = forward["z"] * forward["latent_std"] + forward["latent_mean"]
        yield compare("denormalise+decode+uint8", model.decode(latents), forward["dec_denorm"])
