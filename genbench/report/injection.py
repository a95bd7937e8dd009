"""Tables inside a Markdown file: what stands between two markers is replaced, the rest of the file is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from genbench.errors import UsageError
from genbench.files import write_atomically

END = "<!-- genbench leaderboard end -->"


def begin(suites: Sequence[str]) -> str:
    """The marker above the leaderboard of these suites."""
    return f"<!-- genbench leaderboard {' '.join(suites)} -->"


def inject(file: Path, suites: Sequence[str], text: str) -> bool:
    """Put `text` between the markers of these suites; returns whether the file changed.

    Raises `UsageError` when the file cannot be read or written, or its markers are not there exactly once.
    """
    start = begin(suites)
    try:
        old = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{file}: cannot be read ({reason})", hint="name a Markdown file that exists") from error
    before, found, rest = old.partition(start)
    _, ended, after = rest.partition(END)
    if not found or not ended or start in after:
        problem = "twice" if start in after else "missing"
        raise UsageError(
            f"{file}: the markers of this leaderboard are {problem}",
            hint=f"put these two lines where the table belongs, once: {start} and {END}",
        )
    newline = "\r\n" if "\r\n" in old else "\n"
    new = newline.join([f"{before}{start}", *text.splitlines(), f"{END}{after}"])
    if new == old:
        return False
    try:
        write_atomically(file, new.encode())
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror})", hint="check its mode") from error
    return True
