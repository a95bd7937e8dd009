"""Folders in object stores and on other machines, each with a working copy on this one.

`--cache` and `--results` take any address that fsspec knows (``s3://bucket/place``, ``gs://…``, ``abfs://…``,
``sftp://host/place``). Everything reads and writes the working copy, an ordinary folder; a mark in it says which folder
elsewhere it is a copy of, as a clone of git knows its origin. Files are brought when they are asked for and sent when
they are complete. Shards and records never change and are called after what they hold, so that machines which work on
one folder need no lock: two files of one name are the same file.

How to reach a store is configured where all programs have it: ``AWS_*`` variables and files, ``FSSPEC_*``, and so on.
"""

from __future__ import annotations

import functools
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from genbench.digest import digest
from genbench.errors import StoreError, UsageError
from genbench.files import portable_name, temporary_name, write_atomically

MARK = ".remote"
"""File of a working copy that holds the address of what it is a copy of."""


def is_address(text: str) -> bool:
    """Whether it names a folder elsewhere: anything with ``://``."""
    return "://" in text


def working_copy(address: str, below: Path, part: str = "") -> Path:
    """The folder of this machine in which the files of a remote folder are worked on; made if it is not there.

    Args:
        address: of the remote folder.
        below: folder of working copies.
        part: the folder below both that is kept in common; none for all. What lies beside it stays on this machine.

    Raises `UsageError` for an address that fsspec cannot write to or that holds a password, where fsspec's package for
    it is not installed, and where `below` cannot be written, and `StoreError` for a machine that cannot be reached.
    """
    address = address.rstrip("/")
    _check(address)
    origin = f"{address}/{part}".rstrip("/")
    _system(origin)
    name = portable_name(address.partition("://")[2])[-60:]
    copy = below / f"{name}-{digest(address)[:12]}"
    try:
        mark(copy / part, origin)
    except OSError as error:
        raise UsageError(
            f"{copy}: no working copy of {address} can be kept there ({error.strerror})",
            hint="name another place with XDG_CACHE_HOME",
        ) from error
    return copy


def mark(copy: Path, address: str) -> None:
    """Make a folder, unless it is one already, a working copy of the folder at an address. Raises `OSError`."""
    if not (copy / MARK).exists():
        write_atomically(copy / MARK, address.encode())


def _check(address: str) -> None:
    try:
        parts = urlsplit(address)
    except ValueError as error:  # what is no address may hold a password all the same: it is not repeated
        raise UsageError(
            f"what is given for results or cache is no address ({error})", hint="for example s3://bucket/place"
        ) from error
    if parts.password or parts.query or parts.fragment:
        raise UsageError(
            "an address of results or cache holds a password or a query, which would end in files",
            hint="give credentials by the variables or files that the store's own programs read (AWS_…, FSSPEC_…)",
        )
    # fsspec takes an address without a protocol, or with one of a letter, for a path.
    if parts.scheme in ("http", "https") or "::" in address or address.find("://") < 2:
        raise UsageError(
            f"{address}: is not a folder that files can be written to", hint="for example s3://bucket/place"
        )


@functools.cache
def _system(address: str) -> tuple[Any, str]:
    """fsspec's file system of an address, and what the folder is called in it; for some kinds, this connects."""
    extra = "pip install 'genbench[remote]' (s3), or fsspec and its package for that kind of address"
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise UsageError(f"{address}: fsspec is not installed", hint=extra) from error
    try:
        # Nothing but what the address says: some systems hand on whatever they are given to a client of their own.
        system, root = url_to_fs(address, skip_instance_cache=True)
    except ImportError as error:
        raise UsageError(f"{address}: {error}", hint=extra) from error
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{address}: {error}",
            hint="for example s3://bucket/place or sftp://host/place; `fsspec.available_protocols()` lists known kinds",
        ) from error
    except Exception as error:  # every store has exceptions of its own
        raise StoreError(
            f"{address}: cannot be reached ({_reason(error)})", hint="check the address, and how one logs in there"
        ) from error
    return system, root.rstrip("/")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


class Remote:
    """What a working copy is a copy of; several threads may ask it and send to it."""

    def __init__(self, copy: Path, address: str) -> None:
        """Raises as `working_copy` does."""
        self.copy, self.address = copy, address
        self._fs, self._root = _system(address)
        self._known: dict[Path, set[str]] = {}
        self._made: set[str] = set()
        self._sending = threading.Lock()

    def _there(self, path: Path) -> str:
        return f"{self._root}/{path.relative_to(self.copy).as_posix()}"

    @contextmanager
    def _explained(self, what: str, hint: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # every store has exceptions of its own
            raise StoreError(f"{self.address}: {what} ({_reason(error)})", hint=hint) from error

    def names(self, folder: Path) -> set[str]:
        """Names of the files of a folder of the working copy that are there; listed once."""
        known = self._known  # what is listed while another thread looks again is not what it finds then
        if folder not in known:
            with self._explained("cannot be listed", "check the address and what may be done there"):
                self._fs.invalidate_cache()
                try:
                    found = self._fs.ls(self._there(folder), detail=False)
                except FileNotFoundError:
                    found = []
            known[folder] = {str(name).rstrip("/").rpartition("/")[2] for name in found}
        return known[folder]

    def look_again(self) -> None:
        """Forget what was listed: others may have sent more."""
        self._known = {}

    def fetch(self, path: Path) -> bool:
        """Bring a file into the working copy. Returns whether it is there."""
        if path.name not in self.names(path.parent):
            return False
        self._bring(path)
        return True

    def _bring(self, path: Path) -> None:
        with self._explained(f"{path.name} cannot be brought", "check what may be done there"):
            content = self._fs.cat_file(self._there(path))
        try:
            write_atomically(path, content)
        except OSError as error:
            raise StoreError(
                f"{path.parent}: the working copy cannot be written ({error.strerror})",
                hint="free some space, or name another place with XDG_CACHE_HOME",
            ) from error

    def send(self, path: Path) -> None:
        """Send a complete file, which appears there complete or not at all."""
        hint = f"it is kept in {self.copy}; the same command sends it"
        # A transaction is of the whole file system: a second one would take the files of the first.
        with self._sending, self._explained(f"{path.name} cannot be sent", hint):
            self._make_folder(self._there(path).rpartition("/")[0])
            with self._fs.transaction, path.open("rb") as here, self._fs.open(self._there(path), "wb") as there:
                shutil.copyfileobj(here, there, 1 << 22)
        # Where nothing is listed, this one name would stand for a whole listing, and hide what others sent.
        if (known := self._known.get(path.parent)) is not None:
            known.add(path.name)

    def _make_folder(self, folder: str) -> None:
        """Where folders are made before files, make one; never a bucket or a disk."""
        if folder in self._made:
            return
        top = folder[: folder.find("/", 1)] if "/" in folder[1:] else folder
        if not self._fs.exists(top):
            raise FileNotFoundError(f"there is no {top}")
        self._fs.makedirs(folder, exist_ok=True)
        self._made.add(folder)

    def exchange(self, depth: int) -> None:
        """Bring what is only there and send what is only here, of files so many folders deep; hidden ones stay."""
        with self._explained("cannot be listed", "check the address and what may be done there"):
            self._fs.invalidate_cache()
            try:
                found = [str(name).removeprefix(f"{self._root}/") for name in self._fs.find(self._root)]
            except FileNotFoundError:
                found = []
        there = {name for name in found if _counts(name, depth)}
        here = {path.relative_to(self.copy).as_posix() for path in self.copy.glob("/".join("*" * depth))}
        for name in sorted(there - here):
            self._bring(self.copy / name)
        for name in sorted(name for name in here - there if _counts(name, depth)):
            self.send(self.copy / name)

    def check_writable(self) -> None:
        """See that a file can be written there. Raises `StoreError` when it cannot."""
        probe = f"{self._root}/{temporary_name('probe')}"
        with self._explained("cannot be written", "check the address and what may be done there"):
            self._make_folder(self._root)
            self._fs.pipe_file(probe, b"genbench")
            self._fs.rm_file(probe)


def _counts(name: str, depth: int) -> bool:
    parts = name.split("/")
    return len(parts) == depth and not any(part.startswith(".") for part in parts)


@functools.cache
def _opened(copy: Path) -> Remote:
    return Remote(copy, (copy / MARK).read_text(encoding="utf-8"))


def remote_of(path: Path) -> Remote | None:
    """What the working copy that a file or folder lies in is a copy of; none where it is of this machine alone."""
    path = Path(os.path.abspath(path))  # noqa: PTH100 (links stay what they are)
    return next((_opened(folder) for folder in (path, *path.parents) if (folder / MARK).is_file()), None)


def names(folder: Path, suffix: str) -> list[str]:
    """Names of the files of a folder that end so, here and elsewhere, sorted. Raises `StoreError`."""
    remote = remote_of(folder)
    found = {path.name for path in folder.glob(f"*{suffix}")} | (remote.names(folder) if remote else set())
    return sorted(name for name in found if name.endswith(suffix))


def present(path: Path) -> bool:
    """Whether a file is there, here or elsewhere; in the latter case it is brought. Raises `StoreError`."""
    if path.is_file():
        return True
    remote = remote_of(path)
    return remote is not None and remote.fetch(path)


def send(path: Path) -> None:
    """Send a complete file to where it belongs, if it lies in a working copy. Raises `StoreError`."""
    if remote := remote_of(path):
        remote.send(path)
