"""pixels/haar4: the 256 Haar wavelet packets of level 4, on which the Fréchet wavelet distance is defined. No network.

A packet transform splits every band again, so four levels of Haar are the Walsh-Hadamard transform of each 16x16 tile:
packet (a, b) of a tile is the sum of its pixels, each with the sign of Walsh functions a down and b across, over 16.
"""

from __future__ import annotations

import torch
from torch import Tensor

from genbench.errors import FeatureError

LEVEL = 4
TILE = 2**LEVEL


class HaarExtractor:
    """uint8 images whose sides are multiples of 16, to their packets."""

    network = None

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => float32 {packets: (N, 256, 3·H/16·W/16)}.

        Computed in float64 from values of 0 to 1; float32 holds a packet's coefficient to 6e-8 of itself.
        """
        return {"packets": haar_packets(images.double().div_(255)).float()}


def haar_packets(images: Tensor) -> Tensor:
    """(N, C, H, W) => (N, 256, C·H/16·W/16), of the same dtype; orthonormal, so sums of squares are kept.

    Packets stand in Hadamard's natural order, a major; packet 0 is the mean of a tile times 16. The order inside a
    packet is (channel, row, column). A Fréchet distance of a packet depends neither on that order nor on signs.
    Raises `FeatureError` if a side is not a multiple of 16.
    """
    n, channels, height, width = images.shape
    if height % TILE or width % TILE:
        raise FeatureError(
            f"pixels/haar4: images of {height}x{width} cannot be cut into tiles of {TILE}x{TILE}",
            hint=f"use images whose sides are multiples of {TILE}",
        )
    walsh = _walsh(images.dtype).to(images.device)
    tiles = images.reshape(n, channels, height // TILE, TILE, width // TILE, TILE)
    packets = torch.einsum("ai,ncyixj,bj->nabcyx", walsh, tiles, walsh)
    return packets.reshape(n, TILE * TILE, -1)


def _walsh(dtype: torch.dtype) -> Tensor:
    """The orthonormal Hadamard matrix, (16, 16)."""
    step = torch.tensor([[1, 1], [1, -1]], dtype=dtype)
    matrix = torch.ones(1, 1, dtype=dtype)
    for _ in range(LEVEL):
        matrix = torch.kron(matrix, step)
    orthonormal: Tensor = matrix / TILE**0.5
    return orthonormal
