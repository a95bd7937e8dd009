"""What a figure is: a question to the store, and how the answer is drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from genbench.report.figures.canvas import Draw, Record
from genbench.store import Rows


class Scope(NamedTuple):
    """The part of the store that a report is about."""

    suite: str
    precision: str
    metric: str
    """The one that the leaderboard is ordered by."""
    fd: str
    """Its first Fréchet distance; the same as `metric` where there is none."""
    n: int
    """Images a block, the largest number in the leaderboard."""

    def fill(self, sql: str) -> str:
        """SQL with ``{suite}``, ``{precision}``, ``{metric}``, ``{fd}`` and ``{n}`` as literals: for `Store.query`, and
        as it stands for ``genbench sql``."""
        literals = {key: literal(value) if isinstance(value, str) else value for key, value in self._asdict().items()}
        return sql.strip().format(**literals)


class Chart(NamedTuple):
    """One figure of a report."""

    name: str
    """Of its files."""
    title: str
    reading: str
    """How it is read, in a sentence or two."""
    sql: str
    """As `Scope.fill` takes it."""
    draw: Draw
    missing: str
    """What to run where the store has no answer, in a sentence; with ``{suite}``, and ``{half}`` of its images."""
    enough: Callable[[Sequence[Record]], bool] = bool
    """Whether there is something to see in the rows."""


def literal(text: str) -> str:
    """Text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def records(rows: Rows) -> list[Record]:
    """Rows by name of column."""
    return [dict(zip(rows.columns, row, strict=True)) for row in rows.rows]
