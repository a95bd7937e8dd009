"""Time ways of doing one thing in turn, in one process: seconds, processor seconds, and what memory each took."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import numpy as np
import torch

from genbench.metrics.products import products

T = TypeVar("T")
_PAGE = 4096


class Cost(NamedTuple):
    """What one call took."""

    seconds: float
    cpu_seconds: float
    """Of all threads: what a call takes of a machine that is busy with other things."""
    extra_mib: float
    """Greatest resident memory during the call above that before it, sampled every 5 ms (Linux)."""

    def with_best_of(self, other: Cost) -> Cost:
        """The least time and the most memory of both."""
        seconds, cpu_seconds = min(self.seconds, other.seconds), min(self.cpu_seconds, other.cpu_seconds)
        return Cost(seconds, cpu_seconds, max(self.extra_mib, other.extra_mib))


class Timed(NamedTuple):
    """A number and what it cost."""

    value: float
    cost: Cost


class _ResidentPeak:
    """Samples this process's resident memory while the block runs."""

    def __enter__(self) -> Self:
        self._before = self._peak = _resident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.005):
            self._peak = max(self._peak, _resident())

    @property
    def extra_mib(self) -> float:
        return (self._peak - self._before) / 2**20


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def measured(call: Callable[[], T]) -> tuple[T, Cost]:
    """The result of `call` and its cost."""
    gc.collect()
    with _ResidentPeak() as memory:
        start, cpu_start = time.perf_counter(), time.process_time()
        result = call()
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return result, Cost(seconds, cpu_seconds, memory.extra_mib)


def alternated(calls: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Timed]:
    """Each call once a round, in turn, so that other work on the machine disturbs all of them alike.

    Seconds are the least of the rounds, because other work only ever slows a call down; memory is the most.
    """
    found: dict[str, Timed] = {}
    for _ in range(rounds):
        for name, call in calls.items():
            value, cost = measured(call)
            found[name] = Timed(value, cost.with_best_of(found[name].cost) if name in found else cost)
    return found


def float64_rate() -> float:
    """Floating-point operations a second of NumPy's products of 2048 x 2048 matrices, with the threads in use."""
    matrix = np.random.default_rng(0).standard_normal((2048, 2048))
    return _rate(lambda: matrix @ matrix)


def float32_rate() -> float:
    """The same of genbench's products of features."""
    matrix = torch.randn(2048, 2048, generator=torch.Generator().manual_seed(0))
    return _rate(lambda: products(matrix, matrix))


def _rate(product: Callable[[], object]) -> float:
    return 2 * 2048**3 / min(measured(product)[1].seconds for _ in range(5))
