"""Malformed sources of images: encoded pictures, archives, arrays and tables, by their own structure."""

from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
from PIL import Image

from tests.fuzz.mutations import damaged

SIDE = 32
COUNT = 4

_SUFFIXES = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp", "BMP": "bmp", "GIF": "png", "TIFF": "png", "PPM": "png"}
"""Of files in each of Pillow's formats; genbench reads the first four."""


@cache
def pixels() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(4, 32, 32, 3) uint8."""
    return np.random.default_rng(0).integers(0, 256, (COUNT, SIDE, SIDE, 3), dtype=np.uint8)


@cache
def encoded(form: str = "PNG", mode: str = "RGB") -> bytes:
    """One sound picture in a format and a mode of Pillow's."""
    out = io.BytesIO()
    Image.fromarray(pixels()[0]).convert(mode).save(out, form)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its length and checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of any header; without other chunks it has the data of one row."""
    header = struct.pack(">IIBBBBB", width % 2**32, height % 2**32, depth, colour, 0, 0, 0)
    body = chunks or (chunk(b"IDAT", zlib.compress(b"\0" * 97)),)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(body) + chunk(b"IEND", b"")


def picture(rng: Random) -> tuple[str, bytes]:
    """The name and the bytes of a malformed picture."""
    sides = (0, 1, 2**15, 2**16, 2**31 - 1, 2**32 - 1)
    match rng.randrange(8):
        case 0:
            return "x.png", png(rng.choice(sides), rng.choice(sides))
        case 1:
            depth, colour = rng.choice((0, 1, 7, 8, 16, 255)), rng.randrange(8)
            return "x.png", png(SIDE, SIDE, depth=depth, colour=colour)
        case 2:
            name = rng.choice((b"zTXt", b"iTXt", b"iCCP", b"tRNS", b"PLTE", b"acTL", b"fdAT", b"eXIf"))
            return "x.png", png(SIDE, SIDE, chunk(name, b"a\0\0" + zlib.compress(bytes(rng.randrange(2**16)))))
        case 3:
            return _canvas(rng, encoded(rng.choice(("JPEG", "WEBP", "BMP"))))
        case 4:
            return "x.png", encoded(rng.choice(("GIF", "TIFF", "PPM")))
        case _:
            form = rng.choice(tuple(_SUFFIXES))
            mode = rng.choice(("RGB", "L", "P")) if form in ("PNG", "GIF", "TIFF", "BMP") else "RGB"
            return f"x.{_SUFFIXES[form]}", damaged(encoded(form, mode), rng)


def _canvas(rng: Random, data: bytes) -> tuple[str, bytes]:
    """A picture whose header promises another size than its data have."""
    size = rng.choice((0, 1, 2**14 - 1, 2**16 - 1))
    if data.startswith(b"\xff\xd8"):
        place = data.index(b"\xff\xc0") + 5
        return "x.jpg", data[:place] + struct.pack(">HH", size, size) + data[place + 4 :]
    if data.startswith(b"RIFF"):
        return "x.webp", data[:26] + struct.pack("<HH", size, size) + data[30:]
    sides = rng.choice(((2**31 - 1, -(2**31)), (size, size), (-SIDE, SIDE), (2**20, 2**20)))
    return "x.bmp", data[:18] + struct.pack("<ii", *sides) + data[26:]


def members() -> dict[str, bytes]:
    """The files of a sound archive."""
    return {f"c/{index}.png": encoded() for index in range(COUNT)}


def zip_of(files: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def malformed_zip(rng: Random) -> bytes:
    """A zip file that lies about a member, holds what is no file of its own, or is damaged."""
    kinds: tuple[Callable[[Random], bytes], ...] = (
        lambda rng: damaged(zip_of(members(), rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))), rng),
        _lying_zip,
        _strange_zip,
    )
    return rng.choice(kinds)(rng)


def _lying_zip(rng: Random) -> bytes:
    """One field of one entry of the directory, or of the end record, is another."""
    data = bytearray(zip_of(members()))
    entries = [place for place in range(len(data)) if data[place : place + 4] == b"PK\1\2"]
    offset, width = rng.choice(((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (38, 4), (42, 4)))
    start = rng.choice(entries) + offset
    if rng.random() < 0.2:
        offset, width = rng.choice(((8, 2), (10, 2), (12, 4), (16, 4), (20, 2)))
        start = data.rindex(b"PK\5\6") + offset
    value = rng.choice((0, 1, 2 ** (8 * width) - 1, 2 ** (8 * width - 1), rng.randrange(2 ** (8 * width))))
    data[start : start + width] = value.to_bytes(width, "little")
    return bytes(data)


def _strange_zip(rng: Random) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members().items():
            archive.writestr(name, data)
        match rng.randrange(5):
            case 0:
                link = zipfile.ZipInfo("c/link.png")
                link.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(link, "/etc/passwd")
            case 1:
                archive.writestr("c/many.png", encoded(), rng.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))
            case 2:
                archive.writestr("c/empty.png", b"")
            case 3:
                archive.writestr(rng.choice(("../up.png", "/root.png", "c\\..\\up.png", "c/\x01.png")), b"no picture")
            case _:
                archive.writestr("d/inner.png", zip_of(members()))
    return out.getvalue()


def tar_of(files: Mapping[str, bytes], mode: str = "w") -> bytes:
    """A tar file, compressed with a mode such as ``w:gz``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
    return out.getvalue()


def _member(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member


def malformed_tar(rng: Random, mode: str = "w") -> bytes:
    """A tar file with links, devices, extended headers that lie, numbers that are none, or damage."""
    kinds: tuple[Callable[[Random, str], bytes], ...] = (
        lambda rng, mode: damaged(tar_of(members(), mode), rng),
        _strange_tar,
        _lying_tar,
        _extended_tar,
    )
    return rng.choice(kinds)(rng, mode)


def _strange_tar(rng: Random, mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, data in members().items():
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
        kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
        odd = _member(f"c/{'n' * rng.choice((1, 99, 300))}.png", 0, rng.choice(kinds))
        odd.linkname = rng.choice(("c/0.png", "/etc/passwd", "../../up", ""))
        archive.addfile(odd)
    return out.getvalue()


def _lying_tar(rng: Random, mode: str) -> bytes:
    """One field of one header is another, its checksum corrected."""
    data = bytearray(tar_of(members()))
    blocks = [place for place in range(0, len(data), 512) if data[place + 257 : place + 262] == b"ustar"]
    start = rng.choice(blocks)
    field, width = rng.choice(((0, 100), (100, 8), (124, 12), (136, 12), (156, 1), (157, 100), (257, 8), (345, 155)))
    values = (b"\xff" * width, b"\x80" + b"\xff" * (width - 1), b"7" * width, b"-1", b"\0" * width, b"K", b"x", b"S")
    value = rng.choice(values)[:width].ljust(width, b"\0")
    data[start + field : start + field + width] = value
    data[start + 148 : start + 156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    return _packed(bytes(data), mode)


def _extended_tar(rng: Random, mode: str) -> bytes:
    """A POSIX extended header whose records are not what they say."""
    records = rng.choice(
        (
            b"9 size=-1\n",
            b"30 size=99999999999999999999\n",
            b"99999999 path=a\n",
            b"0 path=a\n",
            b"-3 path=a\n",
            b"12 path=\xff\xfe\n",
            b"22 GNU.sparse.major=1\n",
            b"27 GNU.sparse.map=0,1,x,9\n",
            b"18 path=" + b"\0" * 9 + b"\n",
            b"11 mtime=x\n",
            bytes(rng.randrange(256) for _ in range(40)),
        )
    )
    kind = rng.choice((tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_SPARSE))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(_member("header", len(records), kind), io.BytesIO(records))
        for name, data in members().items():
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
    return _packed(out.getvalue(), mode)


def _packed(data: bytes, mode: str) -> bytes:
    compress = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return compress.compress(data) + compress.flush() if mode.endswith("gz") else data


def npy(header: str, data: bytes = b"", *, version: int = 1, length: int | None = None) -> bytes:
    """An .npy file with any header; `length` is what it says of itself."""
    text = header.encode("latin1", "replace")
    width = 2 if version == 1 else 4
    said = (len(text) if length is None else length) % (1 << 8 * width)
    return b"\x93NUMPY" + bytes((version, 0)) + said.to_bytes(width, "little") + text + data


@cache
def _sound_npy() -> bytes:
    out = io.BytesIO()
    np.save(out, pixels())
    return out.getvalue()


def malformed_npy(rng: Random) -> bytes:
    """An .npy file of another type, shape or order than images have, or of no array."""
    shape = rng.choice(
        (
            "()",
            "(4,)",
            "(0, 32, 32, 3)",
            "(-4, 32, 32, 3)",
            "(4, 3, 32, 32)",
            "(4, 32, 32, 4)",
            "(4611686018427387904, 4, 4, 3)",
            "(4, 99999, 99999, 3)",
            "(True, 32, 32, 3)",
            "(4.5, 32, 32, 3)",
            "('4', 32, 32, 3)",
            "[4, 32, 32, 3]",
            "4",
            "(4, 32, 32, 3, " + "1, " * 60 + ")",
            "(" + "9" * 5000 + ", 32, 32, 3)",
            "__import__('os').getcwd()",
            "(" * 200 + ")" * 200,
        )
    )
    descr = rng.choice(("'|u1'", "'|O'", "'<f8'", "'|V8'", "'<U9'", "[('a', '|u1')]", "'no'", "3", "None", "'|u1'"))
    order = rng.choice(("False", "False", "True", "1", "None"))
    match rng.randrange(4):
        case 0 | 1:
            return damaged(_sound_npy(), rng)
        case 2:
            header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"
            return npy(header, pixels().tobytes(), version=rng.choice((0, 1, 2, 3, 9)))
        case _:
            header = "{'descr': '|u1', 'fortran_order': False, 'shape': (4, 32, 32, 3), }"
            return npy(header, pixels().tobytes(), length=rng.choice((0, 5, 10**4, 2**16 - 1, 2**32 - 1)), version=2)


def malformed_npz(rng: Random) -> bytes:
    """An .npz file that is a malformed zip file, or a sound one of malformed arrays."""
    match rng.randrange(4):
        case 0:
            return damaged(zip_of({"arr_0.npy": _sound_npy()}), rng)
        case 1:
            names = ("arr_1.npy", "arr_0", " ", "ARR_0.npy", "arr_0.npy/x", "x" * 999)
            return zip_of({rng.choice(names): _sound_npy()})
        case 2:
            return malformed_zip(rng)
        case _:
            return zip_of({"arr_0.npy": malformed_npy(rng)})


_COLUMNS = (
    ("image BLOB", "NULL"),
    ("image BLOB", "'not a picture'::BLOB"),
    ("image BLOB", "''::BLOB"),
    ("image INTEGER", "3"),
    ("image VARCHAR", "'/etc/passwd'"),
    ("a BLOB, b BLOB", "'x'::BLOB, 'y'::BLOB"),
    ("image STRUCT(bytes BLOB, path VARCHAR)", "{'bytes': NULL, 'path': '/etc/passwd'}"),
    ("image STRUCT(bytes VARCHAR)", "{'bytes': 'x'}"),
    ('"im""age" STRUCT("bytes" BLOB, "path" INTEGER)', "{'bytes': 'x'::BLOB, 'path': 1}"),
    ("image BLOB[]", "['x'::BLOB]"),
    ("image STRUCT(a STRUCT(bytes BLOB))", "{'a': {'bytes': 'x'::BLOB}}"),
    ("file_row_number BLOB", "'x'::BLOB"),
    ("image MAP(VARCHAR, BLOB)", "MAP {'bytes': 'x'::BLOB}"),
)
"""Columns of tables that hold no pictures, and what their rows hold."""


@cache
def _table(columns: str, values: str, rows: int) -> bytes:
    with TemporaryDirectory() as folder, duckdb.connect(":memory:") as connection:
        path = Path(folder) / "x.parquet"
        connection.execute(f"CREATE TABLE t ({columns})")
        if rows:
            connection.execute(f"INSERT INTO t SELECT {values} FROM range({rows})")
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
        return path.read_bytes()


@cache
def sound_parquet() -> bytes:
    """A table of pictures as Hugging Face's `datasets` writes it."""
    literal = "".join(f"\\x{byte:02X}" for byte in encoded())
    return _table("image STRUCT(bytes BLOB, path VARCHAR)", f"{{'bytes': '{literal}'::BLOB, 'path': 'a'}}", COUNT)


def malformed_parquet(rng: Random) -> bytes:
    """A Parquet file of other columns than pictures, of no rows, or damaged."""
    if rng.random() < 0.3:
        return _table(*rng.choice(_COLUMNS), rng.choice((0, 1, 3)))
    return damaged(sound_parquet(), rng)
