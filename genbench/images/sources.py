"""One interface to images that exist already, wherever they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

from genbench.errors import ImageError
from genbench.images.archives import TarArchive, ZipArchive
from genbench.images.arrays import ArraySource
from genbench.images.batch import ImageBatch
from genbench.images.encoded import Container, EncodedSource
from genbench.images.folder import Folder
from genbench.images.parquet import ParquetTable
from genbench.images.readahead import default_workers
from genbench.images.spans import unreadable


class ImageSource(Protocol):
    """A fixed sequence of images, read from anywhere in it."""

    name: str
    """What a person would call it: its path."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of each image its POSIX path relative to the source, or its row, as in `ImageFacts.name`."""
        ...

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The class folder of each image, where the source is a folder or archive of such; else None."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 identity of the content, wherever it lies; computed once, by reading everything.

        Raises `ImageError`.
        """
        ...

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images first..first+count-1 in order; consecutive images of equal size share a batch of up to `size`.

        What precedes `first` is not decoded. Raises `ImageError` for the first image that cannot be read, and
        `ValueError` for images that do not exist.
        """
        ...


_CONTAINERS: dict[str, Callable[[Path], Container]] = {
    ".zip": ZipArchive,
    ".tar": partial(TarArchive, compressed=False),
    ".tar.gz": partial(TarArchive, compressed=True),
    ".tgz": partial(TarArchive, compressed=True),
    ".parquet": ParquetTable,
}
_ARRAYS = (".npz", ".npy")
SUFFIXES = (*_CONTAINERS, *_ARRAYS)
"""Files that can be a source, in any case of letters; a folder is one too."""


def open_source(path: Path | str, *, workers: int | None = None) -> ImageSource:
    """The images in a folder, an archive (.zip, .tar, .tar.gz, .tgz), an array file (.npz, .npy) or a .parquet file.

    `workers` threads decode; the default is one a core, at most eight. Encoded files are ordered by POSIX relative
    path, rows and arrays as they are stored. No file is kept open.

    Raises `ImageError` if there is no such path, if its kind is not known, or if it holds no readable images;
    `ValueError` for fewer than one worker.
    """
    path = Path(path)
    workers = default_workers() if workers is None else workers
    if workers < 1:
        raise ValueError(f"{workers} worker threads cannot decode images")
    if _is_folder(path):
        return EncodedSource(Folder(path), workers=workers)
    name = path.name.lower()
    if name.endswith(_ARRAYS):
        return ArraySource(path)
    for suffix, container in _CONTAINERS.items():
        if name.endswith(suffix):
            return EncodedSource(container(path), workers=workers)
    raise ImageError(
        f"{path}: not a source of images that genbench knows",
        hint=f"give a folder of images, or a file that ends in {', '.join(SUFFIXES)}",
    )


def _is_folder(path: Path) -> bool:
    """Whether an existing path is a folder rather than a file."""
    try:
        path.stat()
    except FileNotFoundError:
        raise ImageError(
            f"{path}: no such file or folder", hint=f"check the path; it is relative to {Path.cwd()}"
        ) from None
    except OSError as error:
        raise unreadable(path, error) from error
    return path.is_dir()
