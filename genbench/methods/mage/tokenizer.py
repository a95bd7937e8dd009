"""MAGE's tokenizer: MaskGIT's VQGAN, whose images are in [0, 1] (repositories LTH14/mage and LTH14/rcg)."""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.methods.latents.codebook import CodebookAutoencoder, QuantisedTokenizer
from genbench.methods.llamagen.quantiser import CodebookQuantiser
from genbench.methods.mage.convolutions import Decoder, Encoder
from genbench.methods.mage.settings import MAGETokenizerNetwork


class UnitAutoencoder(CodebookAutoencoder[CodebookQuantiser]):
    """Its networks see and give images in [0, 1], its callers' are in [-1, 1]."""

    def features(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [-1, 1] => what is quantised, (N, C, h, w)."""
        return super().features((images + 1) / 2)

    def images(self, latents: Tensor) -> Tensor:
        """Quantised latents (N, C, h, w) => images (N, 3, H, W), about [-1, 1]."""
        return 2 * super().images(latents) - 1


def module(network: MAGETokenizerNetwork) -> UnitAutoencoder:
    """The autoencoder, not filled."""
    shape = (network.widths, network.blocks, network.groups, network.code_channels)
    quantiser = CodebookQuantiser(codebook_size=network.codebook_size, channels=network.code_channels, unit=False)
    return UnitAutoencoder(Encoder(*shape), quantiser, Decoder(*shape))


class MAGETokenizer(QuantisedTokenizer[CodebookQuantiser]):
    """The tokenizer with its weights. Raises `WeightsError` for weights that do not fit."""

    def __init__(self, network: MAGETokenizerNetwork, state: dict[str, Tensor] | None, device: torch.device) -> None:
        super().__init__(lambda: module(network), network, state, device, codebook_size=network.codebook_size)

    def kept(self, state: dict[str, Tensor], levels: int) -> dict[str, Tensor]:
        """The whole file: the module has the official keys."""
        return state
