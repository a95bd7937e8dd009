"""diffusers' convolutional encoder and decoder, which the autoencoders of latent diffusion and of tokens share."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn

from genbench.errors import UsageError
from genbench.methods.latents.settings import ConvolutionalNetwork


class Classes(NamedTuple):
    """What genbench takes from diffusers."""

    autoencoder: Any
    encoder: Any
    decoder: Any


def diffusers_classes() -> Classes:
    """The classes. Raises `UsageError` when diffusers is not installed."""
    try:
        from diffusers import AutoencoderKL
        from diffusers.models.autoencoders.vae import Decoder, Encoder
    except ImportError as error:
        raise UsageError(
            "latents are decoded by diffusers, which is not installed", hint='pip install "genbench[latents]"'
        ) from error
    return Classes(AutoencoderKL, Encoder, Decoder)


def block_types(network: ConvolutionalNetwork) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """diffusers' names of the encoder's levels, finest first, and of the decoder's, coarsest first."""
    levels = range(len(network.widths))
    downs = ["AttnDownEncoderBlock2D" if level in network.attention else "DownEncoderBlock2D" for level in levels]
    attended = network.attention if network.decoder_attention is None else network.decoder_attention
    ups = ["AttnUpDecoderBlock2D" if level in attended else "UpDecoderBlock2D" for level in levels]
    return tuple(downs), tuple(reversed(ups))


def encoder(network: ConvolutionalNetwork, channels: int) -> nn.Module:
    """Images (N, 3, H, W) => features (N, channels, h, w). Raises `UsageError` when diffusers is not installed."""
    built: nn.Module = diffusers_classes().encoder(
        out_channels=channels, down_block_types=block_types(network)[0], double_z=False, **_shape(network)
    )
    return built


def decoder(network: ConvolutionalNetwork, channels: int) -> nn.Module:
    """Features (N, channels, h, w) => images (N, 3, H, W). Raises `UsageError` when diffusers is not installed."""
    built: nn.Module = diffusers_classes().decoder(
        in_channels=channels, up_block_types=block_types(network)[1], **_shape(network)
    )
    return built


def _shape(network: ConvolutionalNetwork) -> dict[str, Any]:
    return {
        "block_out_channels": network.widths,
        "layers_per_block": network.blocks,
        "norm_num_groups": network.groups,
    }
