"""Where tables leave genbench: one set of formats for every command, on standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genbench.report import tables
from genbench.report.tables import Format, Text

if TYPE_CHECKING:
    from genbench.store import Rows


VERDICT_STYLES = {
    "FAIL": "bold red",
    "worse": "bold red",
    "deviates": "bold red",
    "inconclusive": "yellow",
    "no baseline": "yellow",
    "no error bar": "yellow",
    "better": "green",
    "ok": "green",
    "reproduced": "green",
}
"""How a terminal shows a cell that is a verdict."""


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], form: Format) -> None:
    """Print rows under the store's column names.

    ``table`` and ``markdown`` are for people (rounded to the standard error, digests and times shortened); ``csv`` and
    ``json`` give every digit.
    """
    if form is Format.CSV:
        _write(tables.comma_separated(columns, rows))
    elif form is Format.JSON:
        _write(tables.json_objects(columns, rows))
    else:
        print_cells(*tables.readable(columns, rows), form)


def print_text(text: Text, rows: Rows, form: Format) -> None:
    """Print what was prepared for people as ``table`` or ``markdown``, and its rows as ``csv`` or ``json``."""
    if form in {Format.CSV, Format.JSON}:
        print_rows(rows.columns, rows.rows, form)
    else:
        print_cells(text.headings, text.cells, form, notes=text.notes)


def print_cells(
    headings: Sequence[str], cells: Sequence[Sequence[str]], form: Format, *, notes: Sequence[str] = ()
) -> None:
    """Print a table that is text already, as ``table`` or ``markdown``, with sentences below it."""
    if form is Format.MARKDOWN:
        _write(tables.markdown(headings, cells, notes))
        return
    if sys.stdout.isatty():
        _print_rich(headings, cells)
    else:
        _write(tables.aligned(headings, cells))
    _write("\n" * bool(notes) + "".join(f"{note}\n" for note in notes))


def _write(text: str) -> None:
    sys.stdout.write(text)


def _print_rich(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading, right in zip(headings, tables.right_aligned(headings, cells), strict=True):
        table.add_column(Text(heading), justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell, style=VERDICT_STYLES.get(cell, "")) for cell in row))
    Console(highlight=False).print(table)
