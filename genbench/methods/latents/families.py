"""The decoder families that genbench carries, by the name that a decoder's file gives. Imports no torch by itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from genbench.cards import DecoderCard
from genbench.errors import ConfigError
from genbench.methods.families import import_object
from genbench.schema import Strict, check_typed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genbench.methods.latents.decoder import PixelDecoder, TilingDecoder


class DecoderFamily(NamedTuple):
    """A decoder class by import path, and its network."""

    decoder: str
    """``module:Class`` of a `PixelDecoder`, built of its network's arguments, a state and a device."""
    network: str
    """``module:Class`` of the pydantic model of its network's arguments."""
    module: str | None = None
    """``module:function`` from those arguments to the network; none where no sampler is built with the decoder."""
    encodes: bool = True
    """Whether it is a `Tokenizer` or a `DrawingTokenizer`, encoder included."""
    tiles: bool = False
    """Whether it decodes in tiles (`genbench.methods.latents.decoder.TilingDecoder`)."""
    tiny: Mapping[str, Any] = MappingProxyType({})
    """Network arguments that make it small enough to be tried with random weights, where samplers need it."""


_LATENTS = "genbench.methods.latents"

DECODERS: dict[str, DecoderFamily] = {
    "autoencoder-kl": DecoderFamily(
        decoder=f"{_LATENTS}.autoencoder:Autoencoder",
        network=f"{_LATENTS}.settings:AutoencoderNetwork",
        tiles=True,
    ),
    "d-ar": DecoderFamily(
        decoder="genbench.methods.dar.tokenizer:DARTokenizer",
        network="genbench.methods.dar.settings:DARTokenizerNetwork",
        module="genbench.methods.dar.tokenizer:SequentialTokenizer",
        tiny={
            "sampling_resolution": 8,
            "encoder_patch_size": 4,
            "encoder_dim": 8,
            "num_encoder_layers": 1,
            "decoder_dim": 8,
            "num_decoder_layers": 1,
            "vq_dim": 4,
            "vq_codebook_size": 16384,
            "num_all_queries": 16,
            "num_denoising_steps": 2,
            "head_dim": 4,
            "diff_decoder": {"dim": 8, "depth": 1, "patch_size": 4},
        },
    ),
    "llamagen": DecoderFamily(
        decoder="genbench.methods.llamagen.quantiser:CodebookTokenizer",
        network="genbench.methods.llamagen.settings:CodebookNetwork",
        module="genbench.methods.llamagen.quantiser:module",
        tiny={
            "widths": [8, 8],
            "groups": 4,
            "attention": [1],
            "codebook_size": 16384,
            "code_channels": 4,
            "latent_channels": 8,
        },
    ),
    "mage": DecoderFamily(
        decoder="genbench.methods.mage.tokenizer:MAGETokenizer",
        network="genbench.methods.mage.settings:MAGETokenizerNetwork",
        module="genbench.methods.mage.tokenizer:module",
        tiny={"widths": [8, 8], "groups": 4, "codebook_size": 1024, "code_channels": 8},
    ),
    "rae": DecoderFamily(
        decoder="genbench.methods.rae.decoder:RAEImageDecoder",
        network="genbench.methods.rae.settings:ImageDecoderNetwork",
        encodes=False,
    ),
    "var": DecoderFamily(
        decoder="genbench.methods.var.quantiser:MultiScaleTokenizer",
        network="genbench.methods.var.settings:MultiScaleNetwork",
        module="genbench.methods.var.quantiser:module",
        tiny={
            "widths": [8, 8],
            "groups": 4,
            "attention": [1],
            "codebook_size": 16384,
            "code_channels": 4,
            "patch_nums": [1, 2, 4],
        },
    ),
}


def decoder_network(card: DecoderCard) -> Strict:
    """The checked network arguments of a decoder's file. Raises `ConfigError` naming file and key."""
    where = f"decoders/{card.id}.toml: network"
    checked: Strict = check_typed(import_object(DECODERS[card.family].network, where), card.network, where)
    return checked


def build_decoder(
    card: DecoderCard, state: dict[str, Tensor] | None, device: torch.device, *, tile: int | None = None
) -> PixelDecoder:
    """The decoder of a file with its weights, that decodes in tiles of a side of `tile` latent cells if that is given.

    Raises `ConfigError` for network arguments that cannot be and for tiles of a decoder that has none, `WeightsError`
    for weights that do not fit, and `UsageError` for a library that is not installed.
    """
    network = decoder_network(card)
    build = import_object(DECODERS[card.family].decoder, card.id)
    if tile is None:
        whole: PixelDecoder = build(network, state, device)
        return whole
    check_tiles(card)
    tiling: TilingDecoder = build(network, state, device)
    tiling.decode_in_tiles(tile)
    return tiling


def check_tiles(card: DecoderCard) -> None:
    """Raise `ConfigError` for a decoder that cannot decode in tiles."""
    if not DECODERS[card.family].tiles:
        able = ", ".join(name for name, family in DECODERS.items() if family.tiles)
        raise ConfigError(
            f"decoders/{card.id}.toml: a decoder of family {card.family!r} cannot decode in tiles",
            hint=f"leave `tile` out; decoders of {able} can",
        )
