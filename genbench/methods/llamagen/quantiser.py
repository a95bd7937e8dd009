"""LlamaGen's tokenizer: a VQGAN whose codebook is of few channels and length one (Yu et al., arXiv:2110.04627)."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.latents.codebook import QuantisedAutoencoder, QuantisedTokenizer, nearest_entries
from genbench.methods.latents.tokenizer import Encoded, Encoder
from genbench.methods.llamagen.settings import CodebookNetwork
from genbench.methods.transformer.lookup import lookup_table


class CodebookQuantiser(nn.Module):
    """The codebook with the official keys.

    Args:
        codebook_size: entries.
        channels: C of an entry.
        unit: latents and entries are scaled to length one.
    """

    def __init__(self, *, codebook_size: int, channels: int, unit: bool) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.unit = unit
        self.embedding = lookup_table(codebook_size, channels)

    def forward(self, features: Tensor) -> Encoded:
        """Features (N, C, h, w) => each cell's nearest entry; indices (N, h·w) in row-major order."""
        vectors, entries = features.permute(0, 2, 3, 1).flatten(0, 2), self.entries()
        if self.unit:
            vectors = functional.normalize(vectors, dim=1)
        indices = nearest_entries(vectors, entries).view(len(features), -1)
        return Encoded(self.latents(indices, features.shape[2]), indices)

    def latents(self, indices: Tensor, height: int | None = None) -> Tensor:
        """Indices (N, h·w) => entries (N, C, h, w); a square grid if no height is given."""
        height = height or math.isqrt(indices.shape[1])
        cells = self.entries()[indices].transpose(1, 2)
        return cells.reshape(*cells.shape[:2], height, -1)

    def entries(self) -> Tensor:
        """The codebook as it is used, (K, C)."""
        return functional.normalize(self.embedding.weight, dim=1) if self.unit else self.embedding.weight


class Codebook(Encoder, Protocol):
    """A tokenizer whose tokens are entries of one codebook."""

    @property
    def quantiser(self) -> CodebookQuantiser:
        """The codebook."""
        ...


def module(network: CodebookNetwork) -> QuantisedAutoencoder[CodebookQuantiser]:
    """The autoencoder around the quantiser, not filled. Raises `UsageError` when diffusers is not installed."""
    quantiser = CodebookQuantiser(
        codebook_size=network.codebook_size, channels=network.code_channels, unit=network.unit
    )
    return QuantisedAutoencoder(
        network, quantiser, latent_channels=network.latent_channels, code_channels=network.code_channels, kernel=1
    )


class CodebookTokenizer(QuantisedTokenizer[CodebookQuantiser]):
    """LlamaGen's tokenizer with its weights.

    Raises `WeightsError` for weights that do not fit, and `UsageError` when diffusers is not installed.
    """

    def __init__(self, network: CodebookNetwork, state: dict[str, Tensor] | None, device: torch.device) -> None:
        super().__init__(lambda: module(network), network, state, device, codebook_size=network.codebook_size)
