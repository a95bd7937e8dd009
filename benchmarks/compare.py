"""Time two ways of doing one thing, side by side in one process, and print the ratio and what memory each took."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

T = TypeVar("T")
_PAGE = 4096


class Cost(NamedTuple):
    """What one call took."""

    seconds: float
    """The least of the repeats."""
    extra_mib: float
    """Greatest resident memory during the call above that before it, sampled every 5 ms (Linux)."""


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


def measured(call: Callable[[], T], *, repeats: int = 1) -> tuple[T, Cost]:
    """The result of `call` and its cost; the fastest of `repeats`, because other work only ever slows it down."""
    costs = []
    for _ in range(repeats):
        gc.collect()
        with _ResidentPeak() as memory:
            start = time.perf_counter()
            result = call()
            seconds = time.perf_counter() - start
        costs.append(Cost(seconds, memory.extra_mib))
    return result, Cost(min(c.seconds for c in costs), max(c.extra_mib for c in costs))


def header() -> None:
    """Print the head of the table."""
    print("| work | ours | s | MiB | peer | s | MiB | ratio | rel. difference |")
    print("|---|---|---|---|---|---|---|---|---|")


def row(work: str, ours: str, cost: Cost, peer: str, peer_cost: Cost, values: tuple[float, float]) -> None:
    """Print one comparison; `values` are our number and the peer's."""
    difference = abs(values[0] - values[1]) / max(abs(values[1]), 1e-300)
    print(
        f"| {work} | {ours} | {cost.seconds:.2f} | {cost.extra_mib:.0f} | {peer} | {peer_cost.seconds:.2f} | "
        f"{peer_cost.extra_mib:.0f} | {peer_cost.seconds / cost.seconds:.1f}x | {difference:.1e} |",
        flush=True,
    )
