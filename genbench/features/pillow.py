"""Resizing and cropping as Pillow does on uint8: rounded after every step, one image at a time.

For conventions whose reference numbers were made so; `resize` has the rules that keep floats.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

BICUBIC = Image.Resampling.BICUBIC


def squash(images: Tensor, side: int) -> Tensor:
    """The whole picture by antialiased bicubic, its aspect ignored: uint8 (N, 3, H, W) => (N, 3, side, side)."""
    return _each(images, lambda picture: picture.resize((side, side), BICUBIC))


def centre_square(images: Tensor, side: int, resample: Image.Resampling = BICUBIC) -> Tensor:
    """The largest central square, then antialiased bicubic or `resample`: uint8 (N, 3, H, W) => (N, 3, side, side)."""

    def one(picture: Image.Image) -> Image.Image:
        width, height = picture.size
        length = min(width, height)
        left, top = (width - length) // 2, (height - length) // 2
        square = picture.crop((left, top, left + length, top + length))
        return square.resize((side, side), resample)

    return _each(images, one)


def adm_centre_crop(images: Tensor, side: int, resample: Image.Resampling = BICUBIC) -> Tensor:
    """ADM's way to ImageNet training images: uint8 (N, 3, H, W) => (N, 3, side, side).

    Halved by box averages while the shorter side is twice `side` or more, then bicubic, or `resample`, until the
    shorter side is `side`, then the centre. Images of that size already come back as they are.
    """
    if images.shape[2:] == (side, side):
        return images

    def one(picture: Image.Image) -> Image.Image:
        while min(picture.size) >= 2 * side:
            picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
        scale = side / min(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, resample)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        return picture.crop((left, top, left + side, top + side))

    return _each(images, one)


def pictures(images: Tensor) -> list[Image.Image]:
    """uint8 (N, 3, H, W) as Pillow's images."""
    return [Image.fromarray(image) for image in images.permute(0, 2, 3, 1).contiguous().cpu().numpy()]


def _each(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    changed = [torch.from_numpy(np.array(change(picture))) for picture in pictures(images)]
    return torch.stack(changed).permute(0, 3, 1, 2).to(images.device)
