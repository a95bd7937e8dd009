"""Members of a zip file without `ZipFile` objects that stay open: where each lies, and its bytes.

Image archives, and .npz files, which are zip files of arrays.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from genbench.errors import ImageError
from genbench.images.spans import RAW_DEFLATE, FileSpan, InflatedSpan, Span, unreadable

_LOCAL_HEADER = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_ENCRYPTED = 0x1
_BLOCK = 2**20
_SPACING = 64 * 2**20  # members that are read piece by piece are arrays, of gigabytes


def damaged(path: Path, what: object) -> ImageError:
    """The error for a zip file that is not one, or not all of one."""
    return ImageError(f"{path}: the zip file is truncated or damaged ({what})", hint="copy or make the file again")


def members(path: Path) -> list[zipfile.ZipInfo]:
    """The members of a zip file, in its order. Raises `ImageError` if it cannot be read or is no zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, struct.error) as error:
        raise damaged(path, error) from error
    except OSError as error:
        raise unreadable(path, error) from error


def span(path: Path, member: zipfile.ZipInfo) -> Span:
    """Random access to the bytes of a member.

    Raises `ImageError` as `check_readable` does.
    """
    start = _data_start(path, member)
    if member.compress_type == zipfile.ZIP_STORED:
        return FileSpan(path, start=start, size=member.file_size)
    return InflatedSpan(path, start=start, wbits=RAW_DEFLATE, spacing=_SPACING)


def read(path: Path, member: zipfile.ZipInfo) -> bytes:
    """The whole of a member, its CRC-32 checked; at most as many bytes as the directory of the zip file declares.

    Raises `ImageError` as `check_readable` does, or if the member is damaged.
    """
    packed = FileSpan(path, start=_data_start(path, member), size=member.compress_size)
    if member.compress_type == zipfile.ZIP_STORED:
        data = packed.read(0, member.file_size)
    else:
        try:
            data = b"".join(_inflated(packed, member.file_size))
        except zlib.error as error:
            raise damaged(path, f"{member.filename}: {error}") from error
    check(path, member, len(data), zlib.crc32(data))
    return data


def _inflated(packed: FileSpan, size: int) -> Iterator[bytes]:
    """The first `size` bytes, however many a lying directory gives to what they were packed into."""
    inflate, at = zlib.decompressobj(RAW_DEFLATE), 0
    while size and not inflate.eof and (block := packed.read(at, _BLOCK)):
        yield (piece := inflate.decompress(block, size))
        at, size = at + len(block), size - len(piece)


def check_readable(path: Path, member: zipfile.ZipInfo) -> None:
    """Raises `ImageError` if a member is encrypted, compressed other than by deflate, or stored in another size."""
    if member.flag_bits & _ENCRYPTED:
        raise ImageError(f"{path}: {member.filename} is encrypted", hint="make the zip file without a password")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ImageError(
            f"{path}: {member.filename} is compressed by method {member.compress_type}",
            hint="make the zip file stored or deflated (`zip -0` or `zip`); no other compression is read",
        )
    if member.compress_type == zipfile.ZIP_STORED and member.compress_size != member.file_size:
        raise damaged(path, f"{member.filename} has {member.compress_size:,} bytes of {member.file_size:,}")


def check(path: Path, member: zipfile.ZipInfo, size: int, crc: int) -> None:
    """Raises `ImageError` unless a member's bytes have the size and CRC-32 that the zip file declares."""
    if size != member.file_size:
        raise damaged(path, f"{member.filename} has {size:,} bytes of {member.file_size:,}")
    if crc != member.CRC:
        raise damaged(path, f"{member.filename} fails its CRC-32")


def _data_start(path: Path, member: zipfile.ZipInfo) -> int:
    check_readable(path, member)
    if member.header_offset < 0:
        raise damaged(path, f"no header for {member.filename}")
    header = FileSpan(path, start=member.header_offset).read(0, _LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(_LOCAL_MAGIC):
        raise damaged(path, f"no header for {member.filename}")
    # The central directory's name and extra field may have other lengths than the local ones.
    _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    return member.header_offset + _LOCAL_HEADER.size + int(name_length) + int(extra_length)
