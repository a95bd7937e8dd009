"""Files that are complete or as they were, and names that they may have."""

from __future__ import annotations

import os
import platform
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from urllib.parse import quote

ABANDONED = 3600.0
"""Seconds without a change after which a temporary file is a leftover, whichever machine's process began it."""

_TEMPORARY = re.compile(r"\..+\.(?P<machine>[^.]*)-(?P<process>\d+)-[0-9a-f]{6}\.tmp")


def temporary_name(name: str) -> str:
    """Another name for a file that is not complete yet; it says which process of which machine is at it."""
    return f".{name}.{_machine()}-{os.getpid()}-{secrets.token_hex(3)}.tmp"


def is_temporary(name: str) -> bool:
    """Whether `temporary_name` gave that name."""
    return _TEMPORARY.fullmatch(name) is not None


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below a folder, sorted folder by folder; what vanishes meanwhile may be among them or not."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names))


def leftovers(folder: Path) -> Iterator[Path]:
    """Temporary files below `folder` that no process is at any more: what killed ones left behind.

    A process of this machine that is gone left its files at once, one of another machine after `ABANDONED` seconds.
    """
    for path in files_below(folder):
        named = _TEMPORARY.fullmatch(path.name)
        if named and not _in_work(path, named["machine"], int(named["process"])):
            yield path


def _machine() -> str:
    return portable_name(platform.node().partition(".")[0])


def _in_work(path: Path, machine: str, process: int) -> bool:
    if machine == _machine() and os.name == "posix":
        return _lives(process)
    try:
        return time.time() - path.stat().st_mtime < ABANDONED
    except FileNotFoundError:  # completed meanwhile
        return True


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)  # nothing is sent
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def write_atomically(path: Path, *parts: bytes | bytearray | memoryview) -> None:
    """Write `parts`, one after the other, under a temporary name beside `path`, and rename.

    Folders are made. A crash at any moment leaves `path` complete, or as it was; an interruption leaves nothing else.
    Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name(path.name))
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def stays_inside(name: str) -> bool:
    """Whether a file name with folders, by forward slashes, leads to a file inside the folder it is looked for in.

    On every system: ``..``, ``/x``, ``a\\b`` and ``C:x`` do not, and neither does what no file can be called.
    """
    path = PurePosixPath(name)
    leaves = path.is_absolute() or ".." in path.parts or "\\" in name or PureWindowsPath(name).drive
    return bool(path.name) and name.isprintable() and not leaves


def portable_name(name: str) -> str:
    """A name as a file name that every system takes: ``open-clip/ViT-B-32:openai`` => ``open-clip_ViT-B-32%3Aopenai``.

    Letters, digits, ``.``, ``_``, ``-`` and ``~`` stay, ``/`` becomes ``_``, the rest is percent-encoded.
    """
    return quote(name.replace("/", "_"), safe="")
