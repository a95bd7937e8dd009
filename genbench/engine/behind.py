"""One thing done in a thread while its caller goes on: a shard is written while the next one is made."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

from genbench import console
from genbench.errors import GenbenchError


class Behind:
    """Does one thing at a time, so that no more than one finished shard waits in memory; a context manager."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="genbench-writer")
        self._doing: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Wait for what was begun, and raise what it raised; beside another error, say so."""
        self._thread.shutdown()
        try:
            self._finish()
        except GenbenchError as error:
            if kind is None:
                raise
            console.warn(str(error))

    def do(self, action: Callable[[], None]) -> None:
        """Begin it once what came before is done; raises what that raised."""
        self._finish()
        self._doing = self._thread.submit(action)

    def _finish(self) -> None:
        doing, self._doing = self._doing, None
        if doing is not None:
            doing.result()
