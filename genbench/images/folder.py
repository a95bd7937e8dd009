"""A folder of image files, searched recursively."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath

from genbench.errors import ImageError
from genbench.images.decode import SUFFIXES, check_encoded_size, is_image_name
from genbench.images.encoded import ReadBytes
from genbench.images.spans import unreadable


class Folder:
    """Container of the image files below a folder, sorted by POSIX relative path.

    Links are followed, except those to a folder that they lie in. Names that start with a dot are passed over
    (``.ipynb_checkpoints``, macOS's ``._*``), as is what has no image suffix.

    Raises `ImageError` if there is no image, if a folder cannot be listed, or if something with the name of an image
    is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = sorted((_posix(file.relative_to(path)), file) for file in _image_files(path))
        if not found:
            raise no_images(path)
        self.names = tuple(name for name, _ in found)
        self._files = [file for _, file in found]

    def readers(self, first: int, count: int) -> Iterator[ReadBytes]:
        """One function an image that reads its file."""
        for file in self._files[first : first + count]:
            yield partial(_read, file)

    def place(self, index: int) -> str:
        """The path of the file."""
        return str(self._files[index])


def no_images(path: Path) -> ImageError:
    """The error for a place that holds no image."""
    return ImageError(
        f"{path}: holds no images", hint=f"images are files that end in {', '.join(SUFFIXES)}, in any case"
    )


def _image_files(root: Path) -> Iterator[Path]:
    pending: list[tuple[Path, frozenset[tuple[int, int]]]] = [(root, frozenset())]
    while pending:
        folder, above = pending.pop()
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                continue
            with os.scandir(folder) as listing:
                entries = [folder / entry.name for entry in listing if not entry.name.startswith(".")]
            folders = {entry for entry in entries if entry.is_dir()}
            files = [entry for entry in entries if entry not in folders and is_image_name(entry.name)]
            strange = [entry for entry in files if not entry.is_file()]
        except OSError as error:
            raise unreadable(folder, error) from error
        if strange:
            raise ImageError(
                f"{strange[0]}: is named like an image but is not a file (a broken link, or a device)",
                hint="remove it, or restore what it links to",
            )
        pending += [(below, above | {identity}) for below in folders]
        yield from files


def _posix(relative: PurePath) -> str:
    """The relative path; bytes of a file name that are not UTF-8 are written as ``\\xff``."""
    return os.fsencode(relative.as_posix()).decode("utf-8", "backslashreplace")


def _read(file: Path) -> bytes:
    try:
        check_encoded_size(file.stat().st_size, str(file))
        return file.read_bytes()
    except OSError as error:
        raise unreadable(file, error) from error
