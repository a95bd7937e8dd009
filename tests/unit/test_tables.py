"""Rows as text: rounded for people, complete for programs."""

from __future__ import annotations

import csv
import io
import json
import math
from datetime import date, datetime
from decimal import Decimal

import pytest

from genbench.cli.output import print_rows
from genbench.report.tables import Format, aligned, cell, comma_separated, json_objects, markdown, readable, uncertain


@pytest.mark.parametrize(
    ("value", "stderr", "text"),
    [
        (12.3456, 0.5678, "12.35 ± 0.57"),
        (12.3456, 0.0999, "12.35 ± 0.10"),  # the second digit of what is printed, after the carry
        (12.3456, 5.678, "12.3 ± 5.7"),
        (12.3456, 99.6, "10 ± 100"),
        (12345.6, 567.0, "12350 ± 570"),
        (0.00012345, 0.0000123, "0.000123 ± 0.000012"),
        (1.234567e-12, 1.23e-14, "1.235e-12 ± 1.2e-14"),
        (0.0, 1.23e-14, "0.0e+00 ± 1.2e-14"),
        (-0.5, 0.25, "-0.50 ± 0.25"),
        (0.5, None, "0.5"),
        (0.123456789, 0.0, "0.123457"),
        (0.5, math.nan, "0.5"),
        (math.nan, 0.5, "nan"),
        (math.inf, 0.5, "inf"),
    ],
)
def test_values_are_rounded_to_two_digits_of_their_standard_error(
    value: float, stderr: float | None, text: str
) -> None:
    assert uncertain(value, stderr) == text


def test_cells_are_short_and_harmless() -> None:
    assert cell("0123456789abcdef" * 4) == "0123456789ab"
    assert cell(datetime(2025, 3, 4, 5, 6, 7)) == "2025-03-04 05:06"
    assert cell(None) == ""
    assert cell(True) == "yes"
    assert cell(1 / 3) == "0.333333"
    assert cell("\x1b[31mred\n") == "\\x1b[31mred\\n"
    assert cell(["a", 1]) == '["a", 1]'


def test_value_and_stderr_become_one_column() -> None:
    headings, cells = readable(("run", "value", "stderr", "n"), [("a@b", 1.2345, 0.1, 5), ("c@d", None, None, 6)])
    assert headings == ["run", "value ± stderr", "n"]
    assert cells == [["a@b", "1.23 ± 0.10", "5"], ["c@d", "", "6"]]


def test_aligned_columns() -> None:
    text = aligned(["name", "n"], [["ab", "5"], ["日本", "1234"]])
    assert text == "name     n\n----  ----\nab       5\n日本  1234\n"


def test_markdown_is_aligned_and_escaped() -> None:
    text = markdown(["a|b", "n"], [["x|y", "5"], ["back\\slash", "10"]])
    assert text.splitlines() == [
        "| a\\|b        |   n |",
        "| ----------- | --: |",
        "| x\\|y        |   5 |",
        "| back\\\\slash |  10 |",
    ]


def test_csv_round_trips() -> None:
    rows = [('say "hi", you', 0.1 + 0.2, None), ("two\r\nlines", 1e-300, datetime(2025, 1, 2))]
    text = comma_separated(("text", "x", "when"), rows)
    assert text.startswith("text,x,when\r\n")
    back = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [row[0] for row in back] == [row[0] for row in rows]
    assert [float(row[1]) for row in back] == [row[1] for row in rows]
    assert [row[2] for row in back] == ["", "2025-01-02T00:00:00"]


def test_json_is_a_list_of_objects_and_loses_nothing() -> None:
    row = (0.1 + 0.2, None, math.nan, Decimal("1.5"), date(2025, 1, 2), b"\xff", [1, {"a": math.inf}], "ü", True)
    objects = json.loads(json_objects(("x", "x", *"cdefghi"), [row, row]))
    assert objects[0] == {
        "x": 0.1 + 0.2,
        "x_2": None,
        "c": None,
        "d": 1.5,
        "e": "2025-01-02",
        "f": "ff",
        "g": [1, {"a": None}],
        "h": "ü",
        "i": True,
    }
    assert len(objects) == 2
    assert json.loads(json_objects(("x",), [])) == []


@pytest.mark.parametrize("form", list(Format))
def test_no_rows_still_print_their_columns(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(("run", "value", "stderr"), [], form)
    out, err = capsys.readouterr()
    assert err == ""
    assert ("run" in out) is (form is not Format.JSON)


def test_a_terminal_gets_no_markup_from_names(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    print_rows(("run", "n"), [("[bold]a@b[/bold]", 5)], Format.TABLE)
    assert "[bold]a@b[/bold]" in capsys.readouterr().out


def test_verdicts_are_coloured_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    rows = [("a@b", "worse"), ("c@d", "same")]
    print_rows(("run", "verdict"), rows, Format.TABLE)
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    print_rows(("run", "verdict"), rows, Format.TABLE)
    assert "\x1b[1;31mworse" in capsys.readouterr().out
