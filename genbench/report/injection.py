"""Tables inside a Markdown file: what stands between two markers is replaced, the rest of the file is left alone.

The first marker names the suites, and the metrics where they are chosen ones, so that the table keeps its columns:
``<!-- genbench leaderboard quick metric=fid,kid -->``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from genbench.errors import UsageError
from genbench.files import write_atomically

END = "<!-- genbench leaderboard end -->"


def begin(suites: Sequence[str], metrics: Sequence[str] = ()) -> str:
    """The marker above the leaderboard of these suites, of all metrics or of chosen ones."""
    chosen = f" metric={','.join(metrics)}" if metrics else ""
    return f"<!-- genbench leaderboard {' '.join(suites)}{chosen} -->"


class _Place(NamedTuple):
    """Where a table belongs."""

    before: str
    after: str
    metrics: tuple[str, ...]
    """Those that the marker names."""


def chosen_metrics(file: Path, suites: Sequence[str]) -> tuple[str, ...]:
    """The metrics that the marker of these suites names; none means all. Raises as `inject` does."""
    return _place(file, suites, ()).metrics


def inject(file: Path, suites: Sequence[str], text: str, metrics: Sequence[str] = ()) -> bool:
    """Put `text` between the markers of these suites, the first of which names `metrics` then; says whether the file
    changed.

    Raises `UsageError` when the file cannot be read or written, or its markers are not there exactly once.
    """
    place = _place(file, suites, metrics)
    newline = "\r\n" if "\r\n" in place.before + place.after else "\n"
    new = newline.join([place.before + begin(suites, metrics), *text.splitlines(), END + place.after])
    if new == _read(file):
        return False
    try:
        write_atomically(file, new.encode())
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror})", hint="check its mode") from error
    return True


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"{file}: cannot be read ({reason})", hint="name a Markdown file that exists") from error


def _place(file: Path, suites: Sequence[str], metrics: Sequence[str]) -> _Place:
    text = _read(file)
    found = list(re.finditer(rf"<!-- genbench leaderboard {re.escape(' '.join(suites))}(?: metric=(\S+))? -->", text))
    ended = text.find(END, found[0].end()) if found else -1
    if len(found) != 1 or ended < 0:
        raise UsageError(
            f"{file}: the markers of this leaderboard are {'twice' if len(found) > 1 else 'missing'}",
            hint=f"put these two lines where the table belongs, once: {begin(suites, metrics)} and {END}",
        )
    (marker,) = found
    named = filter(None, (marker[1] or "").split(","))
    return _Place(text[: marker.start()], text[ended + len(END) :], tuple(named))
