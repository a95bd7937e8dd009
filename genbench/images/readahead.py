"""Work in threads, results in order, and no more of it in flight than was asked for."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from genbench.errors import ImageError

T = TypeVar("T")

PATIENCE = 600.0
"""Seconds that may pass before the next result is there."""
LEAVING = 1.0
"""Seconds that threads are given to finish what they are at when no more is wanted."""


def default_workers() -> int:
    """One thread a core that this process may use, at most eight."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(8, cores)


def in_order(tasks: Iterable[Callable[[], T]], *, workers: int, ahead: int, place: Callable[[int], str]) -> Iterator[T]:
    """Results of `tasks` in their order, computed by `workers` threads.

    At most `ahead` tasks have been taken from the iterable without their result having been yielded, so that is how
    many results can lie in memory. The first task that raises ends the iteration with its exception; tasks that
    have not started then never do. Closing the iterator does the same.

    Raises `ImageError` when a task hangs, as reading from a network file system may: when its result is not there
    `PATIENCE` seconds after the one before was taken. `place` says what the task of a number, from 0, reads.
    """
    queue: SimpleQueue[_Job[T] | None] = SimpleQueue()
    # Daemons: one that hangs keeps the process from ending no more.
    threads = [
        Thread(target=_carry_out, args=(queue,), name=f"genbench-images-{i}", daemon=True) for i in range(workers)
    ]
    for thread in threads:
        thread.start()
    pending: deque[Future[T]] = deque()
    taken = 0
    try:
        for task in tasks:
            pending.append(Future())
            queue.put((pending[-1], task))
            if len(pending) >= ahead:
                yield _result(pending, place, taken)
                taken += 1
        while pending:
            yield _result(pending, place, taken)
            taken += 1
    finally:
        for future in pending:
            future.cancel()
        for _ in threads:
            queue.put(None)
        _leave(threads)


_Job = tuple[Future[T], Callable[[], T]]


def _carry_out(queue: SimpleQueue[_Job[T] | None]) -> None:
    while (job := queue.get()) is not None:
        future, task = job
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(task())
            except BaseException as error:  # noqa: BLE001  # raised again by whoever takes the result
                future.set_exception(error)


def _result(pending: deque[Future[T]], place: Callable[[int], str], number: int) -> T:
    future = pending.popleft()
    try:
        return future.result(timeout=PATIENCE)
    except TimeoutError as error:
        if future.done():  # the task's own
            raise
        raise ImageError(
            f"{place(number)}: not read within {PATIENCE:g} s",
            hint="see whether the disk or the network file system that it lies on answers; finished work is kept",
        ) from error


def _leave(threads: Iterable[Thread]) -> None:
    deadline = time.monotonic() + LEAVING
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
