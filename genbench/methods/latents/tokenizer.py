"""What every autoencoder of images offers, with a codebook or without: encode, decode, and the size of its code.

SD-VAE and VA-VAE code an image by channels of real numbers, VAR's and LlamaGen's autoencoders by indices of vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from genbench.methods.latents.decoder import DrawingDecoder, ImageDecoder, LatentDecoder
from genbench.methods.noise import Noise

CONTINUOUS_BITS = 16
"""Bits that a real number of a latent counts for: half precision."""


class Encoded(NamedTuple):
    """The code of N images."""

    latents: Tensor
    """(N, C, h, w) float32, what the decoder takes; of a codebook's entries where there is one."""
    indices: Tensor | None = None
    """(N, T) int64, the codebook's entry of each token; none for continuous latents."""


class Encoder(Protocol):
    """From images to their code."""

    @property
    def codebook_size(self) -> int | None:
        """Entries of the codebook, K; none for continuous latents."""
        ...

    def encode(self, images: Tensor) -> Encoded:
        """Images (N, 3, H, W) in [-1, 1] => their code.

        Raises `UsageError` for images of a side that the autoencoder does not take.
        """
        ...


class Tokenizer(Encoder, ImageDecoder, Protocol):
    """An autoencoder of images: an image decoder that also encodes."""


class DrawingTokenizer(Encoder, DrawingDecoder, Protocol):
    """An autoencoder of images whose decoder draws."""


class Reconstruction(NamedTuple):
    """Images made again from their code."""

    images: Tensor
    """(N, 3, H, W) float32, about [-1, 1]."""
    code: Encoded


def reconstruct(tokenizer: Tokenizer | DrawingTokenizer, images: Tensor, noise: Noise) -> Reconstruction:
    """Images (N, 3, H, W) in [-1, 1] encoded, quantised where there is a codebook, and decoded.

    Only a decoder that draws takes anything of `noise`.
    """
    code = tokenizer.encode(images)
    return Reconstruction(LatentDecoder(tokenizer)(code.latents, noise), code)


def bits(tokenizer: Encoder, code: Encoded) -> float:
    """Bits of the code of one image: T·log2(K) for T tokens of K codes, 16 for each real number of a latent."""
    if code.indices is None:
        return float(CONTINUOUS_BITS * code.latents[0].numel())
    return code.indices.shape[1] * math.log2(_codes(tokenizer))


def compression_ratio(tokenizer: Encoder, reconstruction: Reconstruction) -> float:
    """Bits of an image of 8 bits a channel over bits of its code (WeTok's convention, arXiv:2508.05599)."""
    return 8 * reconstruction.images[0].numel() / bits(tokenizer, reconstruction.code)


class CodebookUsage:
    """Which entries of a codebook the images so far used, all of an image's scales together."""

    def __init__(self, size: int) -> None:
        self._used = torch.zeros(size, dtype=torch.bool)

    @classmethod
    def of_hex(cls, size: int, parts: Iterable[str]) -> CodebookUsage:
        """What several parts of the images used together, each as `to_hex` wrote it."""
        usage = cls(size)
        for part in parts:
            bits = np.unpackbits(np.frombuffer(bytes.fromhex(part), np.uint8), count=size)
            usage._used |= torch.from_numpy(bits.astype(bool))
        return usage

    def to_hex(self) -> str:
        """One bit an entry, 1 for a used one, as hexadecimal digits."""
        return np.packbits(self._used.numpy()).tobytes().hex()

    def add(self, code: Encoded) -> None:
        """Count the codes of more images. Raises `ValueError` for continuous latents."""
        if code.indices is None:
            raise ValueError("continuous latents use no codebook")
        self._used[code.indices.flatten().cpu()] = True

    @property
    def share(self) -> float:
        """Used entries over all entries."""
        return float(self._used.double().mean())


def _codes(tokenizer: Encoder) -> int:
    if tokenizer.codebook_size is None:
        raise ValueError("the autoencoder has no codebook")
    return tokenizer.codebook_size
