"""Zip and tar archives of image files, read in place: nothing is extracted, so no member's path can escape.

Images are ordered by name, as in a folder, whatever order they were packed in; a folder and an archive made inside it
therefore hold the same images in the same order, and have the same digest.
"""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import islice, pairwise
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from genbench.errors import ImageError
from genbench.images import zipped
from genbench.images.decode import check_encoded_size, is_image_name
from genbench.images.encoded import IMAGE_LIMIT, READ_AHEAD, ReadBytes
from genbench.images.folder import no_images
from genbench.images.spans import FileSpan, InflatedSpan, Span, SpanFile

_HEADER = 2**20
"""Bytes that an extended header of a tar file may have: names and times of one member."""
_OF_NO_SYSTEM = 0
"""Kind of a zip file's member that was packed without the file's mode, as outside Unix."""


class ZipArchive:
    """Container of the images in a .zip file (stored or deflated).

    Raises `ImageError` if it cannot be read, holds no image, or holds one twice, encrypted, or as a link or a device.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        found = []
        for member in zipped.members(path):
            name = _clean(member.filename)
            if not member.is_dir() and _wanted(name):
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind not in (_OF_NO_SYSTEM, stat.S_IFREG):
                    raise _not_a_file(path, name, "a symbolic link" if stat.S_ISLNK(kind) else "a folder or a device")
                zipped.check_readable(path, member)
                check_encoded_size(member.file_size, f"{path}: {name}")
                found.append((name, member))
        self.names = _ordered_names(path, (name for name, _ in found))
        self._members: list[zipfile.ZipInfo] = [member for _, member in sorted(found, key=lambda f: f[0])]

    def readers(self, first: int, count: int) -> Iterator[ReadBytes]:
        """One function an image that reads its member and checks the CRC-32."""
        for member in self._members[first : first + count]:
            yield partial(zipped.read, self.path, member)

    def place(self, index: int) -> str:
        """The archive and the member."""
        return f"{self.path}: {self.names[index]}"


class _TarImage(NamedTuple):
    name: str
    offset: int
    size: int


class TarArchive:
    """Container of the images in a .tar, .tar.gz or .tgz file; it is indexed once, on opening.

    A compressed tar that was packed in another order than by name is read with jumps, which costs about as much again
    as decoding; `tar --sort=name` avoids that.

    Raises `ImageError` if it cannot be read to its end, holds no image, or holds one twice, or as a link or a device.
    """

    def __init__(self, path: Path, *, compressed: bool) -> None:
        self.path = path
        self._span: Span = InflatedSpan(path) if compressed else FileSpan(path)
        found = list(islice(_tar_images(path, self._span), IMAGE_LIMIT + 1))
        if len(found) > IMAGE_LIMIT:
            raise ImageError(f"{path}: holds more than {IMAGE_LIMIT:,} images", hint="pack them as several files")
        if compressed:
            _check_stream_end(self._span, after=max((image.offset for image in found), default=0))
        self.names = _ordered_names(path, (image.name for image in found))
        self._images = sorted(found)

    def readers(self, first: int, count: int) -> Iterator[ReadBytes]:
        """One function an image; small ones are read as the iterator advances, in the order of the archive."""
        for image in self._images[first : first + count]:
            read = partial(self._read, image)
            yield read if image.size > READ_AHEAD else partial(bytes, read())

    def _read(self, image: _TarImage) -> bytes:
        data = self._span.read(image.offset, image.size)
        if len(data) < image.size:
            raise _damaged_tar(self.path, f"{image.name} ends too early")
        return data

    def place(self, index: int) -> str:
        """The archive and the member."""
        return f"{self.path}: {self.names[index]}"


def _clean(name: str) -> str:
    """A member's name without ``./``; bytes that are not UTF-8 are written as ``\\xff``."""
    return str(PurePosixPath(name)).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _wanted(name: str) -> bool:
    parts = PurePosixPath(name).parts
    # macOS packs a companion of each file: __MACOSX/._name, or ._name beside it.
    hidden = any(part == "__MACOSX" or (part.startswith(".") and part != "..") for part in parts)
    return is_image_name(name) and not hidden


def _ordered_names(path: Path, names: Iterable[str]) -> tuple[str, ...]:
    ordered = tuple(sorted(names))
    if not ordered:
        raise no_images(path)
    for name, following in pairwise(ordered):
        if name == following:
            raise ImageError(
                f"{path}: holds {name} more than once",
                hint="make the archive again; which of them counts cannot be told",
            )
    return ordered


def _tar_images(path: Path, span: Span) -> Iterator[_TarImage]:
    for member in _tar_members(path, span):
        name = _clean(member.name)
        if member.isdir() or not _wanted(name):
            continue
        if member.issym() or member.islnk():
            raise _not_a_file(path, name, "a link")
        if not member.isreg() or member.issparse():
            raise _not_a_file(path, name, "a sparse file or a device")
        check_encoded_size(member.size, f"{path}: {name}")
        yield _TarImage(name, member.offset_data, member.size)


def _tar_members(path: Path, span: Span) -> Iterator[tarfile.TarInfo]:
    """All members. `TarFile` takes a damaged header for the end of the archive; here it is an error."""
    file = SpanFile(span, at_most=_HEADER)
    try:
        with tarfile.TarFile(fileobj=file) as archive:
            member = archive.next()
            while member is not None:
                if archive.offset <= member.offset or member.size < 0:
                    raise _damaged_tar(path, "a member of negative size")
                yield member
                member = _following(archive, file)
            file.seek(archive.offset)
            end = file.read(2 * tarfile.BLOCKSIZE)
            if len(end) < tarfile.BLOCKSIZE or end.strip(b"\0"):
                raise _damaged_tar(path, "it has no end mark where its members end")
    except (tarfile.TarError, ValueError, TypeError, LookupError, EOFError, OverflowError) as error:
        raise _damaged_tar(path, error) from error


def _following(archive: tarfile.TarFile, file: SpanFile) -> tarfile.TarInfo | None:
    """The next member, or None where none can be read: the end, or damage."""
    file.seek(archive.offset)
    try:
        return tarfile.TarInfo.fromtarfile(archive)
    except tarfile.HeaderError:
        return None


def _check_stream_end(span: Span, *, after: int) -> None:
    """Read on from `after` to the end of a gzip stream, where the checksum of all that precedes is compared."""
    while data := span.read(after, 2**20):
        after += len(data)


def _damaged_tar(path: Path, what: object) -> ImageError:
    return ImageError(f"{path}: the tar file is truncated or damaged ({what})", hint="copy or make the file again")


def _not_a_file(path: Path, name: str, kind: str) -> ImageError:
    return ImageError(
        f"{path}: {name} is {kind}, which is not followed inside an archive",
        hint="pack the files themselves, e.g. with `tar --dereference --hard-dereference` or `zip` without -y",
    )
