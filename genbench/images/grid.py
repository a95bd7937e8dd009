"""A preview: many images as one picture, and its file."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import Tensor

from genbench.errors import StoreError
from genbench.files import write_atomically

WHITE = 255


def grid(
    images: npt.NDArray[np.uint8] | Tensor, columns: int | None = None, scale: int = 1, gap: int = 2
) -> Image.Image:
    """Images uint8 (N, 3, H, W), row by row, on white, `gap` pixels apart and around.

    `columns` is by default what makes the grid about square; each pixel is drawn `scale` x `scale`, unsmoothed.
    Raises `ValueError` for no images, another shape or dtype, or a column count or scale below one.
    """
    pixels = images.cpu().numpy() if isinstance(images, Tensor) else np.asarray(images)
    if pixels.ndim != 4 or pixels.shape[1] != 3 or pixels.dtype != np.uint8 or not len(pixels):
        raise ValueError(f"expected uint8 (N, 3, H, W) with N >= 1, not {pixels.dtype} {pixels.shape}")
    columns = math.ceil(math.sqrt(len(pixels))) if columns is None else columns
    if columns < 1 or scale < 1 or gap < 0:
        raise ValueError(f"cannot draw {columns} columns at scale {scale} with gap {gap}")
    columns = min(columns, len(pixels))
    rows = math.ceil(len(pixels) / columns)
    height, width = pixels.shape[2] * scale, pixels.shape[3] * scale
    canvas = np.full((gap + rows * (height + gap), gap + columns * (width + gap), 3), WHITE, np.uint8)
    for i, image in enumerate(pixels):
        top = gap + i // columns * (height + gap)
        left = gap + i % columns * (width + gap)
        tile = image.transpose(1, 2, 0).repeat(scale, 0).repeat(scale, 1)
        canvas[top : top + height, left : left + width] = tile
    return Image.fromarray(canvas)


def tiles(picture: Image.Image, n: int, columns: int, gap: int = 2) -> list[Image.Image]:
    """The first `n` images of a picture that `grid` drew with so many columns and that gap, as large as it drew them.

    Images are square. Raises `ValueError` for a picture that has not so many, or is of another layout.
    """
    pitch, rest = divmod(picture.width - gap, columns)
    rows, below = divmod(picture.height - gap, max(pitch, 1))
    if rest or below or pitch <= gap or n > rows * columns:
        raise ValueError(f"a picture of {picture.width}x{picture.height} does not show {n} images in {columns} columns")
    corners = [(gap + i % columns * pitch, gap + i // columns * pitch) for i in range(n)]
    return [picture.crop((left, top, left + pitch - gap, top + pitch - gap)) for left, top in corners]


def write_png(image: Image.Image, path: Path) -> None:
    """Write a PNG, complete or not at all; folders are made.

    Raises `StoreError` if it cannot be written.
    """
    encoded = io.BytesIO()
    try:
        image.save(encoded, "PNG")
        write_atomically(path, encoded.getbuffer())
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error})",
            hint=f"check that {path.parent} is a folder, that you may write there, and that the disk has space",
        ) from error
