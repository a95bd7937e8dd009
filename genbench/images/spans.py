"""Random access to bytes inside files: as they lie there, or deflated.

A deflate stream has no index, so `InflatedSpan` makes one as it reads: every few MiB it keeps a copy of the
decompressor (less than 64 KiB: deflate looks back 32 KiB, and holds at most `_FED` of input), from which reading can
start again. The method is that of zlib's ``examples/zran.c``. Neither kind keeps a file open between reads.
"""

from __future__ import annotations

import bisect
import io
import threading
import zlib
from pathlib import Path
from typing import NamedTuple, Protocol

from genbench.errors import ImageError

RAW_DEFLATE = -zlib.MAX_WBITS
GZIP = 16 + zlib.MAX_WBITS

_FED = 16 * 1024
"""Bytes of input at a time; where they expand to more than `_BLOCK`, a copy of the decompressor holds the rest."""
_BLOCK = 256 * 1024
"""Bytes of output at a time."""
_STARTS = 4096
"""Places that are kept at most, in 256 MiB; a longer stream has them further apart."""


class Span(Protocol):
    """A run of bytes."""

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the span ends. Raises `ImageError`."""
        ...


def unreadable(place: Path | str, error: OSError) -> ImageError:
    """The error for a file that the operating system does not give us."""
    return ImageError(
        f"{place}: cannot be read ({error.strerror or error})",
        hint="check that the file exists and that you may read it",
    )


class FileSpan:
    """`size` bytes of a file from `start`, or all that follow."""

    def __init__(self, path: Path, *, start: int = 0, size: int | None = None) -> None:
        self._path, self._start, self._size = path, start, size

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the span ends. Raises `ImageError`."""
        if self._size is not None:
            size = max(0, min(size, self._size - offset))
        try:
            with self._path.open("rb") as file:
                file.seek(self._start + offset)
                return file.read(size)
        except OSError as error:
            raise unreadable(self._path, error) from error


class _Cursor(NamedTuple):
    """A place in a deflate stream."""

    position: int
    """Bytes of output that precede it."""
    offset: int
    """Where in the file the input goes on."""
    inflate: zlib._Decompress


class InflatedSpan:
    """The bytes that a deflate or gzip stream, starting at `start` of a file, expands to.

    `spacing` is the bytes of output between two places where reading can start, more beyond `_STARTS` times as many.
    Reading forward is as fast as inflating; a jump costs inflating so many bytes at most, once the place has been
    passed. Threads take turns.
    """

    def __init__(self, path: Path, *, start: int = 0, wbits: int = GZIP, spacing: int = 4 * 2**20) -> None:
        self._path, self._wbits, self._spacing = path, wbits, spacing
        self._starts = [_Cursor(0, start, zlib.decompressobj(wbits))]
        self._live: _Cursor | None = None
        self._lock = threading.Lock()

    def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only where the stream ends.

        Raises `ImageError` if the stream is damaged, or the file ends before the stream does.
        """
        with self._lock:
            cursor = self._nearest(offset)
            try:
                with self._path.open("rb") as file:
                    return self._read_from(file, cursor, offset, size)
            except OSError as error:
                raise unreadable(self._path, error) from error
            except zlib.error as error:
                raise self._damaged(str(error)) from error

    def _nearest(self, offset: int) -> _Cursor:
        """A cursor at or before `offset`, to be used up; a read that fails leaves no live cursor behind."""
        start = self._starts[bisect.bisect_right(self._starts, offset, key=lambda s: s.position) - 1]
        live, self._live = self._live, None
        if live and start.position <= live.position <= offset:
            return live
        return start._replace(inflate=start.inflate.copy())

    def _read_from(self, file: io.BufferedReader, cursor: _Cursor, offset: int, size: int) -> bytes:
        position, at, inflate = cursor
        out = bytearray()
        while len(out) < size:
            if inflate.eof:
                following = self._next_stream(file, at)
                if following is None:
                    break
                inflate = following
            file.seek(at)
            block = file.read(_FED)
            wanted = min(_BLOCK, offset - position if position < offset else size - len(out))
            piece = inflate.decompress(block, wanted)
            if not (piece or block or inflate.eof):
                raise self._damaged("the stream ends too early")
            at += len(block) - len(inflate.unused_data if inflate.eof else inflate.unconsumed_tail)
            if position >= offset:
                out += piece
            position += len(piece)
            if position >= self._starts[-1].position + self._spacing and not inflate.eof:
                self._keep(_Cursor(position, at, inflate.copy()))
        self._live = _Cursor(position, at, inflate)
        return bytes(out)

    def _keep(self, start: _Cursor) -> None:
        self._starts.append(start)
        if len(self._starts) > _STARTS:
            del self._starts[1::2]
            self._spacing *= 2

    def _next_stream(self, file: io.BufferedReader, at: int) -> zlib._Decompress | None:
        """gzip files may be several streams in a row; zeros may follow the last one."""
        if self._wbits != GZIP:
            return None
        file.seek(at)
        magic = file.read(2)
        if not magic.strip(b"\0"):
            return None
        return zlib.decompressobj(self._wbits)

    def _damaged(self, what: str) -> ImageError:
        return ImageError(
            f"{self._path}: the compressed data are truncated or damaged ({what})",
            hint="copy or make the file again",
        )


class SpanFile(io.RawIOBase):
    """A span as a read-only file, for the standard library's parsers, which take a piece as large as a header says.

    Reading more than `at_most` bytes at once raises `ValueError`.
    """

    def __init__(self, span: Span, *, at_most: int) -> None:
        super().__init__()
        self._span, self._at_most, self._position = span, at_most, 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, short only at the end of the span."""
        if not 0 <= size <= self._at_most:
            raise ValueError(f"a header of {size:,} bytes, at most {self._at_most:,} are read")
        data = self._span.read(self._position, size)
        self._position += len(data)
        return data

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position, in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to `offset` from the start or from here; the end of a span is not known before it is read."""
        if whence == io.SEEK_END:
            raise io.UnsupportedOperation("the end of a span is not known")
        self._position = offset + (self._position if whence == io.SEEK_CUR else 0)
        return self._position
