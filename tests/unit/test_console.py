"""What is said on standard error."""

import io
import sys

import pytest

from genbench import console


# The edges are where a rounded value would say 60 of a unit.
@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (8.31, "8.3 s"),
        (59.94, "59.9 s"),
        (59.97, "1 min 00 s"),
        (60, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (7800, "2 h 10 min"),
        (360_000, "100 h 00 min"),
    ],
)
def test_durations_as_people_say_them(seconds, text):
    assert console.duration(seconds) == text


def test_notes_warnings_and_errors_go_to_standard_error(capsys):
    console.note("a")
    console.warn("b [red]")
    console.error("c", "d [/x]")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "a\nwarning: b [red]\nerror: c\nhint: d [/x]\n"


class Terminal(io.StringIO):
    """Standard error that says it is a terminal."""

    def isatty(self):
        return True


def replace_by_terminal(monkeypatch):
    """Called in the test itself: pytest puts its own standard error back between a fixture and the test."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stderr", Terminal())
    return sys.stderr


def test_on_a_terminal_brackets_are_text_not_markup(monkeypatch):
    terminal = replace_by_terminal(monkeypatch)
    console.warn("b [red]")
    console.error("c [/bold]", "d [x]")
    said = terminal.getvalue()
    assert "b [red]" in said
    assert "c [/bold]" in said
    assert "d [x]" in said
    assert "\x1b[" in said


def test_on_a_terminal_progress_is_a_bar(monkeypatch):
    terminal = replace_by_terminal(monkeypatch)
    with console.progress("a [b]", 10, done=2) as progress:
        progress.advance(3)
    assert "a [b]" in terminal.getvalue()
    assert "5/10" in terminal.getvalue()


def test_elsewhere_progress_is_a_line_every_ten_seconds_with_rate_and_time_left(capsys, monkeypatch):
    clock = iter([100.0, 105.0, 110.0, 112.0, 130.0, 200.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("run", 1000, done=200) as progress:
        for units in (50, 50, 10, 290, 400):
            progress.advance(units)
    out, err = capsys.readouterr()
    assert out == ""
    # 100 images in 10 s with 700 to go; then 400 in 30 s with 400 to go; the end is not a line of progress.
    assert err.splitlines() == [
        "run: 300/1000 images, 10.0/s, 1 min 10 s left",
        "run: 600/1000 images, 13.3/s, 30.0 s left",
    ]


def test_progress_of_nothing_so_far_knows_no_time_left(capsys, monkeypatch):
    clock = iter([0.0, 20.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.progress("run", 10, unit="files") as progress:
        progress.advance(0)
    assert capsys.readouterr().err == "run: 0/10 files, 0.0/s, ? left\n"
