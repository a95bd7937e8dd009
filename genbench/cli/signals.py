"""How signals end a command: the first one in order, so that work is kept, the next one at once."""

from __future__ import annotations

import signal
from types import FrameType


class Terminated(BaseException):
    """SIGTERM, which schedulers send before they kill; no more an `Exception` than `KeyboardInterrupt` is."""


_heard: list[type[BaseException]] = []


def end_in_order() -> None:
    """Let SIGINT raise `KeyboardInterrupt` and SIGTERM `Terminated`, once; whichever comes next ends the process.

    A signal that this process was started to ignore (``nohup``, a shell's ``&``) stays ignored. To be called in the
    main thread.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def heard() -> type[BaseException] | None:
    """What the first signal raised, if there was one.

    What it raised may come out as something else: DuckDB makes a `RuntimeError` of it.
    """
    return _heard[0] if _heard else None


def _end(number: int, _: FrameType | None) -> None:
    for either in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(either) is _end:
            signal.signal(either, signal.SIG_DFL)
    _heard.append(KeyboardInterrupt if number == signal.SIGINT else Terminated)
    raise _heard[0]
