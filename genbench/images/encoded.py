"""A source whose images are encoded files: in a folder, an archive, or the rows of a table.

A container says what its images are called and hands out their bytes; everything else (order, threads, decoding,
grouping, identity, labels) is here, once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
import torch

from genbench.digest import digest, digest_bytes
from genbench.images.batch import ImageBatch
from genbench.images.decode import LARGE, Decoded, decode
from genbench.images.readahead import in_order

ReadBytes = Callable[[], bytes]

BATCH_BYTES = 256 * 2**20
"""What the pixels of a batch take at most, unless one image takes more."""
READ_AHEAD = 4 * 2**20
"""Bytes of an encoded image that a container reads before a thread is free for it; more would not fit many times."""
IMAGE_LIMIT = 2**22
"""Images that a source may have, more than three times ImageNet: their names take half a gigabyte."""


class Container(Protocol):
    """Encoded images under names."""

    path: Path
    names: tuple[str, ...]
    """POSIX relative names, or row names; their order is the order of the images."""

    def readers(self, first: int, count: int) -> Iterator[ReadBytes]:
        """For each image in turn a function, to be called in any thread, that returns its bytes.

        What the container can only read in sequence it reads here, as the iterator advances. Raises `ImageError`,
        here or in the function.
        """
        ...

    def place(self, index: int) -> str:
        """Where an image lies, for errors."""
        ...


class EncodedSource:
    """`ImageSource` over a `Container`; decodes in `workers` threads, at most one batch ahead of the caller."""

    def __init__(self, container: Container, *, workers: int) -> None:
        self._container, self._workers = container, workers
        self.name, self.names = str(container.path), container.names
        self.labels = class_folders(container.names)

    def __len__(self) -> int:
        return len(self._container.names)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the ordered list of (name, SHA-256 of the encoded bytes); reads every image once.

        A folder and an archive of it have the same digest.
        """
        names = self._container.names
        tasks = (partial(_hash, read) for read in self._container.readers(0, len(names)))
        hashes = in_order(tasks, workers=self._workers, ahead=2 * self._workers, place=self._container.place)
        return digest([[name, sha256] for name, sha256 in zip(names, hashes, strict=True)])

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images first..first+count-1 in order; consecutive images of equal size share a batch of up to `size`.

        Batches are smaller where images are large (`BATCH_BYTES`). Raises `ImageError` for the first image that cannot
        be read or decoded.
        """
        check_range(first, count, size, len(self))
        readers = self._container.readers(first, count)
        tasks = (partial(self._prepare, first + i, read) for i, read in enumerate(readers))
        prepared = in_order(
            tasks,
            workers=self._workers,
            ahead=max(size, 2 * self._workers),
            place=lambda number: self._container.place(first + number),
        )
        yield from _grouped((decoded() for decoded in prepared), size)

    def _prepare(self, index: int, read: ReadBytes) -> Callable[[], Decoded]:
        """Decode an image in a worker, unless it is so large that it has to wait for its turn; then read it again."""
        container = self._container
        facts = {"name": container.names[index], "place": container.place(index)}
        decoded = decode(read(), **facts, at_most=LARGE)
        return (lambda: decode(read(), **facts)) if decoded is None else (lambda: decoded)


def check_range(first: int, count: int, size: int, length: int) -> None:
    """Raises `ValueError` unless images first..first+count-1 exist and a batch may hold one."""
    if first < 0 or count < 0 or first + count > length or size < 1:
        raise ValueError(f"images {first}..{first + count - 1} in batches of {size}, from a source of {length}")


def batch_images(shape: Sequence[int], size: int) -> int:
    """How many images of a shape, one byte a value, share a batch of up to `size`."""
    return min(size, max(1, BATCH_BYTES // math.prod(shape)))


def class_folders(names: Sequence[str]) -> tuple[str, ...] | None:
    """The class of each image: its first folder below those that all images share.

    None if some image lies in no folder of its own, or all lie in one.
    """
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    # What the first and the last in sorted order share, all share.
    low, high = min(folders), max(folders)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(low, high, strict=False)))
    if any(len(parts) == shared for parts in folders):
        return None
    return tuple(parts[shared] for parts in folders)


def _hash(read: ReadBytes) -> str:
    return digest_bytes(read())


def _grouped(images: Iterator[Decoded], size: int) -> Iterator[ImageBatch]:
    group: list[Decoded] = []
    for image in images:
        if group and (
            len(group) == batch_images(image.pixels.shape, size) or image.pixels.shape != group[0].pixels.shape
        ):
            yield _batch(group)
            group = []
        group.append(image)
    if group:
        yield _batch(group)


def _batch(group: Sequence[Decoded]) -> ImageBatch:
    pixels = torch.from_numpy(np.stack([image.pixels for image in group]))
    return ImageBatch(pixels, tuple(image.facts for image in group))
