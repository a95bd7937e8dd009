"""The header of NumPy's array files, read before their data are.

NumPy's public readers either load or map a whole array, believe any shape, and do not look inside a zip member.
"""

from __future__ import annotations

import ast
import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genbench.errors import ImageError
from genbench.images.spans import Span

_MAGIC = b"\x93NUMPY"
_LIMIT = 10_000  # numpy's own, for headers that ast.literal_eval is safe on
_PREFIX = 12
"""Bytes that hold the magic number, the version and the header's length, whichever version it is."""

_DAMAGE = (
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)


class Header(NamedTuple):
    """What an array file says of its data."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    start: int
    """Bytes before the data."""

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def read_header(path: Path, span: Span) -> Header:
    """The header of numpy's array format, versions 1 to 3 (``numpy.lib.format``); `path` is what errors name.

    Raises `ImageError` if it is none.
    """
    head = span.read(0, _PREFIX)
    if len(head) < _PREFIX or not head.startswith(_MAGIC):
        raise damaged(path, "it does not start like an .npy file")
    width = 2 if head[6] == 1 else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    text = span.read(8 + width, length) if length <= _LIMIT else b""
    try:
        fields = ast.literal_eval(text.decode("latin1").strip())
        shape = tuple(int(side) for side in fields["shape"])
        return Header(np.dtype(fields["descr"]), shape, bool(fields["fortran_order"]), 8 + width + length)
    except (*_DAMAGE, Warning) as error:  # numpy warns of types by their old names, and warnings may be errors
        raise damaged(path, f"its header is not one of numpy's: {error}") from error


def damaged(path: Path, what: str) -> ImageError:
    """The error for an array file that is not one, or not all of one."""
    return ImageError(f"{path}: the array is truncated or damaged ({what})", hint="copy or save the file again")
