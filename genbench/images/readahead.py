"""Work in threads, results in order, and no more of it in flight than was asked for."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def default_workers() -> int:
    """One thread a core that this process may use, at most eight."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(8, cores)


def in_order(tasks: Iterable[Callable[[], T]], *, workers: int, ahead: int) -> Iterator[T]:
    """Results of `tasks` in their order, computed by `workers` threads.

    At most `ahead` tasks have been taken from the iterable without their result having been yielded, so that is how
    many results can lie in memory. The first task that raises ends the iteration with its exception; tasks that
    have not started then never do. Closing the iterator does the same.
    """
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="genbench-images") as pool:
        try:
            for task in tasks:
                pending.append(pool.submit(task))
                if len(pending) >= ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
