"""Arrays of images: ``.npy``, and ``arr_0`` of an ``.npz``, (N, H, W, 3) uint8, read a batch at a time.

An .npz of 50,000 images of 256x256 is 10 GB; neither kind is ever loaded whole.
"""

from __future__ import annotations

import hashlib
import math
import shlex
import zipfile
import zlib
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch

from genbench.digest import digest
from genbench.errors import ImageError
from genbench.images import npy, zipped
from genbench.images.batch import ImageBatch, ImageFacts
from genbench.images.decode import PIXEL_LIMIT
from genbench.images.encoded import IMAGE_LIMIT, batch_images, check_range
from genbench.images.readahead import in_order
from genbench.images.spans import FileSpan, Span, unreadable

_BLOCK = 4 * 2**20


class ArraySource:
    """`ImageSource` over an .npy or .npz file; one thread reads at most one batch ahead of the caller.

    Raises `ImageError` if the file cannot be read, is damaged, or does not hold (N, H, W, 3) uint8 in C order.
    """

    labels = None

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self._format = path.suffix.lower().removeprefix(".")
        self._member = _arr_0(path) if self._format == "npz" else None
        self._span, size = _open(path, self._member)
        header = npy.read_header(path, self._span)
        _check_images(path, header, npz=self._member is not None)
        self._shape, self._start = header.shape, header.start
        if size != header.size:
            raise npy.damaged(path, f"{size:,} bytes where its header declares {header.size:,}")

    def __len__(self) -> int:
        return self._shape[0]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """``arr_0[17]`` in an .npz, ``[17]`` in an .npy."""
        key = "arr_0" if self._member else ""
        return tuple(f"{key}[{row}]" for row in range(len(self)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over shape and values, so that the same images have one digest as .npy and as .npz.

        Reads the file once; raises `ImageError` if it is damaged, as the CRC-32 of an .npz tells.
        """
        values = hashlib.sha256()
        crc = zlib.crc32(self._read(0, self._start))
        end = self._start + math.prod(self._shape)
        for offset in range(self._start, end, _BLOCK):
            block = self._read(offset, min(_BLOCK, end - offset))
            values.update(block)
            crc = zlib.crc32(block, crc)
        if self._member:
            zipped.check(self._path, self._member, end, crc)
        return digest({"dtype": "uint8", "shape": list(self._shape), "sha256": values.hexdigest()})

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images first..first+count-1 in order, up to `size` a batch. Raises `ImageError` if the file is damaged."""
        check_range(first, count, size, len(self))
        end, size = first + count, batch_images(self._shape[1:], size)
        tasks = (partial(self._batch, i, min(size, end - i)) for i in range(first, end, size))
        yield from in_order(tasks, workers=1, ahead=2, place=lambda _: str(self._path))

    def _batch(self, first: int, count: int) -> ImageBatch:
        _, height, width, channels = self._shape
        image_bytes = height * width * channels
        data = self._read(self._start + first * image_bytes, count * image_bytes)
        stored = np.frombuffer(data, np.uint8).reshape(count, height, width, channels)
        pixels = torch.from_numpy(np.array(stored.transpose(0, 3, 1, 2), order="C"))
        names = self.names[first : first + count]
        facts = (ImageFacts(name, self._format, "RGB", width, height) for name in names)
        return ImageBatch(pixels, tuple(facts))

    def _read(self, offset: int, size: int) -> bytes:
        data = self._span.read(offset, size)
        if len(data) < size:
            raise npy.damaged(self._path, "the data end too early")
        return data


def _arr_0(path: Path) -> zipfile.ZipInfo:
    members = {member.filename: member for member in zipped.members(path)}
    if "arr_0.npy" not in members:
        keys = ", ".join(sorted(name.removesuffix(".npy") for name in members)) or "none"
        raise ImageError(
            f"{path}: has no array named arr_0 (its keys: {keys})",
            hint="save the images as np.savez(path, images), which names them arr_0",
        )
    return members["arr_0.npy"]


def _open(path: Path, member: zipfile.ZipInfo | None) -> tuple[Span, int]:
    """The bytes of the array file, and how many they are."""
    if member:
        return zipped.span(path, member), member.file_size
    try:
        return FileSpan(path), path.stat().st_size
    except OSError as error:
        raise unreadable(path, error) from error


def _check_images(path: Path, header: npy.Header, *, npz: bool) -> None:
    shape = header.shape
    if header.dtype != np.uint8:
        raise ImageError(
            f"{path}: holds {header.dtype}, not uint8; which value is white, and how to round, only you know",
            hint=f"for floats in [0, 1]: {_command(path, '(x.clip(0, 1) * 255 + 0.5).astype(np.uint8)', npz=npz)}",
        )
    if len(shape) != 4:
        raise ImageError(
            f"{path}: has {len(shape)} dimensions, {shape}, where images have four, (N, H, W, 3)",
            hint=f"give it four, e.g. greyscale (N, H, W): {_command(path, 'x[..., None].repeat(3, -1)', npz=npz)}",
        )
    if shape[3] != 3:
        raise _wrong_channels(path, shape, npz=npz)
    if header.fortran_order:
        raise ImageError(
            f"{path}: is stored in Fortran order, in which no image lies together",
            hint=f"store it in C order: {_command(path, 'np.ascontiguousarray(x)', npz=npz)}",
        )
    if min(shape) < 1:
        raise ImageError(f"{path}: holds no images, its shape is {shape}", hint="save the images again")
    if shape[0] > IMAGE_LIMIT:
        raise ImageError(
            f"{path}: its header declares {shape[0]:,} images, more than {IMAGE_LIMIT:,}",
            hint="check that the axes are (N, H, W, 3); or save the images as several files",
        )
    if shape[1] * shape[2] > PIXEL_LIMIT:
        raise ImageError(
            f"{path}: an image of {shape[2]}x{shape[1]} has more than {PIXEL_LIMIT:,} pixels",
            hint="check that the axes are (N, H, W, 3)",
        )


def _wrong_channels(path: Path, shape: tuple[int, ...], *, npz: bool) -> ImageError:
    if shape[1] == 3:
        return ImageError(
            f"{path}: has shape {shape}, which is NCHW; images are NHWC, (N, H, W, 3)",
            hint=f"move the channels last: {_command(path, 'x.transpose(0, 2, 3, 1)', npz=npz)}",
        )
    convert = {1: "x.repeat(3, -1)", 4: "x[..., :3]"}.get(shape[3])
    return ImageError(
        f"{path}: has shape {shape}, {shape[3]} channels where RGB has three",
        hint=f"convert it: {_command(path, convert, npz=npz)}" if convert else "save the images as (N, H, W, 3)",
    )


def _command(path: Path, expression: str, *, npz: bool) -> str:
    """A command line that applies `expression` to the array `x` and saves the result beside the file."""
    target = str(path.with_name(f"{path.stem}-rgb{path.suffix}"))
    load = f"np.load({str(path)!r})" + ("['arr_0']" if npz else "")
    save = "savez" if npz else "save"
    code = f"import numpy as np; x = {load}; np.{save}({target!r}, {expression})"
    return f"python -c {shlex.quote(code)}"
