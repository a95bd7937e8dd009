"""Encoded bytes to RGB pixels, with Pillow.

Greyscale and palette images are converted and alpha is dropped, as ``Image.convert("RGB")`` does in the peers
(torch-fidelity, clean-fid); what was converted is kept in `ImageFacts.mode`, so that the preflight report can say it.
EXIF orientation is not applied and of an animation the first frame counts, as there.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from genbench.errors import ImageError
from genbench.images.batch import ImageFacts

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""File names that count as images, in any case."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""Formats that are tried, whatever the suffix says."""
PIXEL_LIMIT = 2**25
"""Pixels an image may have, 8K among them: with Pillow's copy and ours one takes 0.4 GB while it is decoded."""
LARGE = 2**22
"""Pixels beyond which images are decoded one at a time: as many as are read ahead would take gigabytes."""
BYTE_LIMIT = 4 * PIXEL_LIMIT + 2**20
"""Bytes that one encoded image may have: `PIXEL_LIMIT` stored raw with alpha, and a generous header."""

_CONVERTED_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})

# What Pillow's plugins let through for damaged headers and chunks; `Warning` where warnings are made errors.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    ArithmeticError,
    struct.error,
    zlib.error,
    Warning,
)


class Decoded(NamedTuple):
    """One image."""

    pixels: npt.NDArray[np.uint8]
    """(3, H, W) RGB, contiguous."""
    facts: ImageFacts


def is_image_name(name: str) -> bool:
    """Whether the suffix of `name` is one of `SUFFIXES`."""
    return name.lower().endswith(SUFFIXES)


def check_encoded_size(size: int, place: str) -> None:
    """Raises `ImageError` if an encoded image of `size` bytes is empty or beyond `BYTE_LIMIT`, before it is read."""
    if size == 0:
        raise ImageError(f"{place}: the file is empty", hint="write it again, or remove it")
    if size > BYTE_LIMIT:
        raise ImageError(
            f"{place}: {size:,} bytes are too many for one image (limit {BYTE_LIMIT:,})",
            hint="remove it, or store the image at the size that it was generated in",
        )


@overload
def decode(data: bytes, *, name: str, place: str) -> Decoded: ...


@overload
def decode(data: bytes, *, name: str, place: str, at_most: int) -> Decoded | None: ...


def decode(data: bytes, *, name: str, place: str, at_most: int | None = None) -> Decoded | None:
    """Decode one image; `place` says in errors where it lies. None for one of more than `at_most` pixels.

    Raises `ImageError` if `data` is not PNG, JPEG, WebP or BMP, is truncated or damaged, has more than `PIXEL_LIMIT`
    pixels, or has a mode that Pillow cannot bring to 8-bit RGB without clipping (16-bit greyscale, float).
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_pixels(image, place)
            if at_most is not None and image.width * image.height > at_most:
                return None
            image.load()
            facts = ImageFacts(name, _format(image), image.mode, image.width, image.height)
            pixels = _rgb(image, place)
    except UnidentifiedImageError:
        raise ImageError(
            f"{place}: not an image that genbench reads",
            hint=f"remove it, or convert it to PNG; {', '.join(FORMATS)} are read, whatever the suffix",
        ) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_large(place, "its header declares") from None
    except _DAMAGE as error:
        raise ImageError(
            f"{place}: the image is truncated or damaged ({error})",
            hint="write it again, or remove it; an image that cannot be decoded is never left out silently",
        ) from error
    return Decoded(np.ascontiguousarray(pixels.transpose(2, 0, 1)), facts)


def _check_pixels(image: Image.Image, place: str) -> None:
    if image.width * image.height > PIXEL_LIMIT:
        raise _too_large(place, f"{image.width}x{image.height} is")


def _too_large(place: str, what: str) -> ImageError:
    return ImageError(
        f"{place}: {what} more than {PIXEL_LIMIT:,} pixels, which looks like a decompression bomb",
        hint="remove it, or store the image at the size that it was generated in",
    )


def _format(image: Image.Image) -> str:
    # Pillow calls a JPEG with further pictures (depth map, thumbnail) MPO; its first picture is the JPEG.
    return "JPEG" if image.format == "MPO" else image.format or "unknown"


def _rgb(image: Image.Image, place: str) -> npt.NDArray[np.uint8]:
    if image.mode not in _CONVERTED_MODES:
        raise ImageError(
            f"{place}: mode {image.mode} (more than 8 bits a channel) would be clipped by conversion to RGB",
            hint="convert it to 8-bit RGB with the scaling that you mean, e.g. value // 257 for 16 bits",
        )
    if image.mode == "P":
        # Pillow would warn that transparency is lost; preflight says so once for all images.
        image.info.pop("transparency", None)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))
