"""Files that are complete or as they were."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from urllib.parse import quote

TEMPORARY = ".tmp"
"""Suffix of files that are not complete yet; left behind only by a process that was killed."""


def write_atomically(path: Path, *parts: bytes | bytearray | memoryview) -> None:
    """Write `parts`, one after the other, under a temporary name beside `path`, and rename.

    Folders are made. A crash at any moment leaves `path` complete, or as it was; an interruption leaves nothing else.
    Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(3)}{TEMPORARY}")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def portable_name(name: str) -> str:
    """A name as a file name that every system takes: ``open-clip/ViT-B-32:openai`` => ``open-clip_ViT-B-32%3Aopenai``.

    Letters, digits, ``.``, ``_``, ``-`` and ``~`` stay, ``/`` becomes ``_``, the rest is percent-encoded.
    """
    return quote(name.replace("/", "_"), safe="")
