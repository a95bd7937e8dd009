"""A process with everything loaded that forks a child for each command line, and what befalls the child.

A run of genbench takes a second; loading what it needs takes ten. `tests.torture.conftest.Forks` starts this file,
sends a line a `Task` and reads the id of the process that carries it out, or sends an id and reads its exit code.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import resource
import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, NamedTuple

from genbench.answers import answers
from genbench.cli import main
from genbench.engine.inputs import SampledImages
from genbench.evaluation import Extraction
from genbench.records import write_record
from genbench.shards import ShardCache
from genbench.store import Store, ingest, store

PHASES = {
    SampledImages.batches.__code__: "sampling",
    Extraction.__call__.__code__: "extraction",
    ShardCache.write_facts.__code__: "shards",
    answers.__code__: "metrics",
    write_record.__code__: "record",
    Store.open.__func__.__code__: "store",  # type: ignore[attr-defined]  # of a class method
}
"""What a run is doing, by the function that begins it."""

_STORE = {
    function.__code__
    for function in (
        store._build,
        ingest.catch_up,
        ingest._replace,
        ingest._forget_records,
        ingest._add,
        ingest._insert,
    )
}
"""Functions that let DuckDB write, whose own calls cannot be watched."""

_CHANGES = {"os.mkdir", "os.rename", "os.remove"}


class Task(NamedTuple):
    """A command line, and what befalls the process that carries it out."""

    arguments: list[str]
    out: str
    """File for standard output."""
    err: str
    """File for standard error."""
    log: str
    """File that gets a line for each phase and step: seconds, then ``phase NAME`` or ``step NAME``; ``0 end`` last."""
    kill_at: int | None = None
    """Step before which the process is killed, from 0."""
    full_at: int | None = None
    """Step from which no space is left for another file."""
    stuck_at: int | None = None
    """Step that never ends, whatever exception a signal raises there."""
    largest_file: int | None = None
    """Bytes that a file may have, as a quota would have it."""


def serve() -> None:
    """Load everything by carrying out this process's command line, then fork as told on standard input."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = main.run(sys.argv[1:])
    _answer(code)
    for line in sys.stdin:
        told = json.loads(line)
        _answer(os.waitstatus_to_exitcode(os.waitpid(told, 0)[1]) if isinstance(told, int) else _fork(Task(**told)))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _fork(task: Task) -> int:
    process = os.fork()
    if process:
        return process
    code, log = -1, os.open(task.log, os.O_WRONLY | os.O_APPEND)
    try:
        _redirect(task)
        _prepare(task, log)
        sys.argv[1:] = task.arguments
        main.main()
    except SystemExit as left:
        code = int(left.code or 0)
    finally:
        sys.setprofile(None)
        sys.stdout.flush()
        os.write(log, b"0 end\n")
        os._exit(code & 0xFF)  # the server's own ending is not the child's


def _redirect(task: Task) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for descriptor, path in ((1, task.out), (2, task.err)):
        os.dup2(os.open(path, flags, 0o666), descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


def _prepare(task: Task, log: int) -> None:
    if task.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (task.largest_file, task.largest_file))
    _watch(task, log)


def _watch(task: Task, log: int) -> None:
    """Log phases and steps, and let happen what is to happen at one."""
    started, numbers = time.monotonic(), iter(range(1 << 31))

    def write(kind: str, name: str) -> None:
        os.write(log, f"{time.monotonic() - started:.6f} {kind} {name}\n".encode())

    def step(name: str, *, grows: bool = False) -> None:
        number = next(numbers)
        write("step", name)
        if number == task.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        while number == task.stuck_at:
            with contextlib.suppress(BaseException):
                time.sleep(60)
        if grows and task.full_at is not None and number >= task.full_at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CHANGES:
            step(event, grows=event == "os.mkdir")
        elif event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            step("open", grows=True)

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        if frame.f_code in PHASES:
            write("phase", PHASES[frame.f_code])
        elif frame.f_code in _STORE:
            step(frame.f_code.co_name)

    sys.addaudithook(audit)
    sys.setprofile(profile)
    threading.setprofile(profile)  # shards are written in a thread


if __name__ == "__main__":
    serve()
