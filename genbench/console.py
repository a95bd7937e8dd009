"""What people read while genbench works: notes, warnings and progress, all on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_INTERVAL = 10.0
"""Seconds between two progress lines when standard error is not a terminal."""


def _console() -> Console:
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False, soft_wrap=True)


def note(text: str) -> None:
    """Say something on standard error."""
    print("\n".join(map(one_line, text.split("\n"))), file=sys.stderr, flush=True)  # noqa: T201


def one_line(text: str) -> str:
    """The text with all that a terminal obeys or cannot show written out: line breaks, escapes, half surrogate pairs.

    Names of files and what is in them come from others, and stand in many messages.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def warn(text: str) -> None:
    """Say something that the reader should not miss; yellow on a terminal."""
    text = one_line(text)
    if sys.stderr.isatty():
        _console().print(f"[yellow]warning:[/yellow] {_escape(text)}")
    else:
        note(f"warning: {text}")


def error(text: str, hint: str) -> None:
    """The two lines that an error is told in."""
    text, hint = one_line(text), one_line(hint)
    if sys.stderr.isatty():
        _console().print(f"[bold red]error:[/bold red] {_escape(text)}\n[cyan]hint:[/cyan] {_escape(hint)}")
    else:
        note(f"error: {text}\nhint: {hint}")


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def duration(seconds: float) -> str:
    """Seconds as people say them: ``8.3 s``, ``4 min 05 s``, ``2 h 10 min``."""
    if seconds < 59.95:  # what rounds to 60.0 is a minute
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Progress(Protocol):
    """Counts finished units of work."""

    def advance(self, units: int) -> None:
        """Some more are done."""
        ...


class _PlainProgress:
    def __init__(self, title: str, total: int, done: int, unit: str) -> None:
        self._title, self._total, self._unit = title, total, unit
        self._done = self._at_start = done
        self._started = self._last = time.monotonic()

    def advance(self, units: int) -> None:
        self._done += units
        now = time.monotonic()
        if now - self._last >= PLAIN_INTERVAL and self._done < self._total:
            rate = (self._done - self._at_start) / (now - self._started)
            left = duration((self._total - self._done) / rate) if rate else "?"
            note(f"{self._title}: {self._done}/{self._total} {self._unit}, {rate:.1f}/s, {left} left")
            self._last = now


@contextmanager
def progress(title: str, total: int, *, done: int = 0, unit: str = "images") -> Iterator[Progress]:
    """A progress bar with rate and time left on a terminal; a line every ten seconds elsewhere."""
    if not sys.stderr.isatty():
        yield _PlainProgress(title, total, done, unit)
        return
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn(unit),
        bars.TimeElapsedColumn(),
        bars.TextColumn("eta"),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=_console(), transient=True) as display:
        task = display.add_task(_escape(title), total=total, completed=done)

        class _Bar:
            def advance(self, units: int) -> None:
                display.advance(task, units)

        yield _Bar()
