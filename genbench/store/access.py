"""Who may open the store's file when: waiting for other processes, and telling a locked file from a broken one.

DuckDB lets one process write or several read. Writers of genbench also take turns by a lock file beside the store, so
that a rebuild, which renames a new file over the old one, never pulls the file away under another writer.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from genbench import console
from genbench.errors import StoreError

TIMEOUT = 60.0
"""Seconds that a command waits for others before it gives up."""

QUIET = 2.0
"""Seconds of waiting that are not worth a word."""

READ_ONLY = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "lock_configuration": "true",
}
"""What somebody else's SQL may do: read the store, and nothing outside it."""


class UnreadableStoreError(StoreError):
    """The file exists and nobody holds it, but DuckDB cannot open it; `reason` is DuckDB's."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(f"{file}: {reason}", hint="`genbench store rebuild` makes it anew from the records")
        self.reason = reason


class _Wait:
    """Waits a little longer each time, and not longer than `timeout` in all."""

    def __init__(self, file: Path, timeout: float) -> None:
        self._file = file
        self._timeout = timeout
        self._started = time.monotonic()
        self._pause = 0.01
        self._said = False

    def again(self, holder: str = "another process") -> None:
        """Sleep, then return; raises `StoreError` once the time is up."""
        waited = time.monotonic() - self._started
        if waited >= self._timeout:
            raise StoreError(
                f"{self._file}: still in use after {waited:.1f} s, by {holder}",
                hint="end the program that has it open (a DuckDB shell, a notebook), then repeat the command",
            )
        if waited >= QUIET and not self._said:
            console.note(f"waiting for {self._file}: in use by {holder}")
            self._said = True
        # Processes that started together would otherwise keep colliding.
        time.sleep(min(self._pause * random.uniform(0.5, 1.0), self._timeout - waited))
        self._pause = min(2 * self._pause, 0.5)


def connect(file: Path, *, read_only: bool, timeout: float = TIMEOUT) -> duckdb.DuckDBPyConnection:
    """Open the store's file, waiting for processes that hold it.

    Read-only connections cannot reach anything outside the file, nor change a setting.

    Raises `StoreError` when others hold the file for longer than `timeout` seconds or its mode forbids opening it, and
    `UnreadableStoreError` when it is no database, is damaged, or is of a DuckDB that this one cannot read.
    """
    wait = _Wait(file, timeout)
    while True:
        try:
            return duckdb.connect(str(file), read_only=read_only, config=dict(READ_ONLY) if read_only else {})
        except duckdb.Error as error:
            holder = _holder(error)
            if not holder:
                if not os.access(file, os.R_OK if read_only else os.R_OK | os.W_OK):
                    raise StoreError(f"{file}: cannot be opened (permission denied)", hint="check its mode") from error
                raise UnreadableStoreError(file, one_line(error)) from error
        wait.again(holder)


def _holder(error: duckdb.Error) -> str | None:
    """Who has the file open, if that is what the error is about."""
    message = str(error)
    if "Could not set lock" in message:
        program = message.partition("Conflicting lock is held in ")[2].partition(". See")[0]
        return f"another process: {program}" if program else "another process"
    if isinstance(error, duckdb.ConnectionException) and "different configuration" in message:
        return "another Store of this process"
    return None


def one_line(error: duckdb.Error) -> str:
    """DuckDB's message without its drawing of the query, on one line."""
    text = str(error).partition("\n\nLINE ")[0]
    return " ".join(text.split())


def literal(text: str) -> str:
    """`text` as SQL has it, for places that take no parameter."""
    return "'" + text.replace("'", "''") + "'"


@contextmanager
def exclusive(file: Path, *, timeout: float = TIMEOUT) -> Iterator[None]:
    """Hold the right to write the store's file; it ends with the process, also a killed one.

    Raises `StoreError` when another process holds it for longer than `timeout` seconds, or the folder cannot be
    written.
    """
    path = file.with_name(f"{file.name}.lock")
    try:
        handle = path.open("ab")
    except OSError as error:
        raise StoreError(
            f"{file.parent}: the store cannot be written ({error.strerror})",
            hint="name a folder that can be written with --results",
        ) from error
    with handle:
        wait = _Wait(file, timeout)
        while not _try_lock(handle.fileno()):
            wait.again()
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
