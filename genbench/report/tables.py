"""Rows as text: aligned, Markdown, CSV or JSON. People get rounded numbers, programs get all digits."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from genbench.digest import SHORT

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


class Text(NamedTuple):
    """A table for people, and sentences below it."""

    headings: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def uncertain(value: float, stderr: float | None) -> str:
    """``value ± stderr``, both rounded to the second significant digit of the standard error.

    A value without a positive, finite standard error is shown alone, to six significant digits.
    """
    if stderr is None or not math.isfinite(stderr) or not math.isfinite(value) or stderr <= 0:
        return f"{value:.6g}"
    # Rounding may carry (0.0996 is 0.10), so the exponent is read after it.
    exponent = int(f"{stderr:.1e}".partition("e")[2])
    decimals = 1 - exponent
    if decimals > 9:
        digits = max(math.floor(math.log10(abs(value))) - exponent + 1, 1) if value else 1
        return f"{value:.{digits}e} ± {stderr:.1e}"
    rounded, error = round(value, decimals), round(stderr, decimals)
    places = max(decimals, 0)
    return f"{rounded:.{places}f} ± {error:.{places}f}"


def readable(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[list[str], list[list[str]]]:
    """Headings and cells for people: times to the minute, digests to twelve digits, `value` and `stderr` in one."""
    headings = list(columns)
    if not {"value", "stderr"} <= set(columns):
        return headings, [[cell(item) for item in row] for row in rows]
    value, stderr = headings.index("value"), headings.index("stderr")
    headings[value] = "value ± stderr"
    cells = [
        [
            uncertain(row[value], row[stderr]) if i == value and _numeric(row[value], row[stderr]) else cell(item)
            for i, item in enumerate(row)
            if i != stderr
        ]
        for row in rows
    ]
    del headings[stderr]
    return headings, cells


def _numeric(value: Any, stderr: Any) -> bool:
    return isinstance(value, float | int) and isinstance(stderr, float | int | None)


def cell(item: Any) -> str:
    """One value for people; nothing that could move a terminal's cursor."""
    if item is None:
        return ""
    if isinstance(item, bool):
        return "yes" if item else "no"
    if isinstance(item, float):
        return f"{item:.6g}"
    if isinstance(item, datetime):
        return f"{item:%Y-%m-%d %H:%M}"
    text = item if isinstance(item, str) else _text(item)
    if _SHA256.fullmatch(text):
        return text[:SHORT]
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def aligned(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Columns two spaces apart, numbers to the right."""
    right = right_aligned(headings, cells)
    widths = [max(map(_width, column)) for column in zip(headings, *cells, strict=True)]
    lines = [headings, ["-" * width for width in widths], *cells]
    return "".join(
        "  ".join(_pad(text, width, r) for text, width, r in zip(line, widths, right, strict=True)).rstrip() + "\n"
        for line in lines
    )


def markdown(headings: Sequence[str], cells: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> str:
    """A table of GitHub's Markdown, aligned in the source too, and sentences below it; cells are text, not markup."""
    right = right_aligned(headings, cells)
    headings = [_escaped(text) for text in headings]
    cells = [[_escaped(text) for text in row] for row in cells]
    widths = [max(3, *map(_width, column)) for column in zip(headings, *cells, strict=True)]
    rule = ["-" * (width - 1) + ":" if r else "-" * width for width, r in zip(widths, right, strict=True)]
    lines = [
        "| " + " | ".join(_pad(text, width, r) for text, width, r in zip(line, widths, right, strict=True)) + " |\n"
        for line in [headings, rule, *cells]
    ]
    return "".join(lines + [f"\n{_without_html(note)}\n" for note in notes])


def comma_separated(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """CSV after RFC 4180: CRLF, quotes doubled. NULL is an empty field; lists and objects are JSON in a field."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([["" if item is None else _text(item) for item in row] for row in rows])
    return out.getvalue()


def json_objects(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A JSON list with an object a row and a line. NaN and infinity, which JSON lacks, are null.

    A repeated column name gets ``_2``, ``_3``, … so that no value is lost.
    """
    names = _distinct(columns)
    lines = [json.dumps(dict(zip(names, map(_plain, row), strict=True)), ensure_ascii=False) for row in rows]
    return "[" + ",\n ".join(lines) + "]\n"


def _distinct(columns: Sequence[str]) -> list[str]:
    names: list[str] = []
    for column in columns:
        name, number = column, 1
        while name in names:
            number += 1
            name = f"{column}_{number}"
        names.append(name)
    return names


def _plain(item: Any) -> Any:
    """`item` as JSON has it."""
    if isinstance(item, dict):
        return {str(key): _plain(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_plain(value) for value in item]
    if isinstance(item, bytes):
        return item.hex()
    if isinstance(item, date | time):
        return item.isoformat()
    if isinstance(item, float | Decimal):
        return float(item) if math.isfinite(item) else None
    return item if item is None or isinstance(item, bool | int | str) else str(item)


def _text(item: Any) -> str:
    if isinstance(item, float):
        return repr(item)
    plain = item if isinstance(item, Decimal) else _plain(item)
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, bool | list | dict) else str(plain)


def right_aligned(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> list[bool]:
    """Whether a column holds numbers: every cell that is not empty starts like one."""
    columns = list(zip(*cells, strict=True)) if cells else [()] * len(headings)
    return [any(column) and all(map(_like_number, filter(None, column))) for column in columns]


def _like_number(text: str) -> bool:
    try:
        float(text.partition(" ± ")[0].partition(" (s ")[0])
    except ValueError:
        return False
    return True


def _width(text: str) -> int:
    """Columns that a terminal gives to the text."""
    if not text or max(text) < "\u0300":  # before the first combining character, and long before the wide ones
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pad(text: str, width: int, right: bool) -> str:
    blank = " " * (width - _width(text))
    return blank + text if right else text + blank


def _escaped(text: str) -> str:
    """`text` as itself: neither markup nor HTML, and on one line."""
    literal = re.sub(r"[\\|`*\[]", r"\\\g<0>", _without_html(text))
    return literal.replace("\n", "<br>")


def _without_html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
