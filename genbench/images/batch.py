"""What every source of images yields: pixels, and one line of facts an image."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class ImageFacts(NamedTuple):
    """What was stored, before it became RGB pixels."""

    name: str
    """POSIX path relative to the source, or the row, e.g. ``arr_0[17]``."""
    format: str
    """``PNG``, ``JPEG``, ``WEBP``, ``BMP``, ``npz`` or ``npy``."""
    mode: str
    """Pillow's mode before conversion, e.g. ``L``, ``P``, ``RGBA``; ``RGB`` for arrays."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""


class ImageBatch(NamedTuple):
    """Consecutive images of one size."""

    pixels: Tensor
    """(N, 3, H, W) RGB uint8, contiguous, on the CPU."""
    facts: tuple[ImageFacts, ...]
    """N facts, in the order of `pixels`."""
