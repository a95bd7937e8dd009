"""Thumbnails: files beside the page, each content once."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from genbench.digest import SHORT, digest_bytes

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 128
"""Pixels of the longer side, at most."""
_LOSSLESS = 96
"""Pixels up to which a thumbnail is kept to the last bit; what is larger is compressed to about 5 kB."""

Files = dict[str, bytes]
"""Content by path below the report's folder."""


class Picture(NamedTuple):
    """A thumbnail and its size in pixels."""

    path: str
    """From the page that shows it."""
    width: int
    height: int


class Pictures:
    """The thumbnails of one page."""

    def __init__(self) -> None:
        self.files: Files = {}

    def add(self, image: Image) -> Picture:
        """Keep an image, made smaller if need be."""
        thumbnail = image.copy()
        thumbnail.thumbnail((SIDE, SIDE))
        content = io.BytesIO()
        kind = "png" if max(image.size) <= _LOSSLESS else "webp"
        thumbnail.save(content, kind, **({"optimize": True} if kind == "png" else {"quality": 80}))
        path = f"images/{digest_bytes(content.getvalue())[:SHORT]}.{kind}"
        self.files[path] = content.getvalue()
        return Picture(path, *thumbnail.size)
