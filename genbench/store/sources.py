"""The files that a store is filled from, and whether they changed: names, sizes and times, no content.

Nothing here reads a file, so that a command that finds the store up to date never loads the readers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from genbench.errors import StoreError
from genbench.paths import first_of_each

Kind = Literal["record", "card", "suite", "published"]


class Key(NamedTuple):
    """A file."""

    kind: Kind
    path: str
    """Records: below the results folder, with forward slashes. Cards, suites and published figures: absolute."""


class Stamp(NamedTuple):
    """What tells a changed file from an unchanged one."""

    size: int
    """Bytes."""
    mtime_ns: int
    """Nanoseconds since 1970."""


class Sources(NamedTuple):
    """Where records, cards, suites and published figures lie."""

    results: Path
    registry: tuple[Path, ...]
    """Folders of method cards, each with a folder ``published``; earlier ones win."""
    suites: tuple[Path, ...]
    """Folders of suites; earlier ones win."""

    def scan(self) -> dict[Key, Stamp]:
        """Every file and its stamp.

        Raises `StoreError` when a folder below `results` cannot be listed: leaving its records out would be a lie.
        """
        found = {Key("record", path): stamp for path, stamp in _records(self.results)}
        cards = _named_files(self.registry, "*.toml", "unavailable/*.toml")
        found |= {Key("card", path): stamp for path, stamp in cards}
        found |= {Key("suite", path): stamp for path, stamp in _named_files(self.suites, "*.toml")}
        found |= {Key("published", path): stamp for path, stamp in _named_files(self.registry, "published/*.csv")}
        return found


def _stamp(stat: os.stat_result) -> Stamp:
    return Stamp(stat.st_size, stat.st_mtime_ns)


def _records(results: Path) -> Iterator[tuple[str, Stamp]]:
    """The files of `genbench.records.record_files`, in any order."""
    for suite in _entries(results):
        if not suite.is_dir():
            continue
        for run in _entries(Path(suite.path)):
            if not run.is_dir():
                continue
            for file in _entries(Path(run.path)):
                if file.name.endswith(".json") and not file.name.startswith(".") and file.is_file():
                    yield f"{suite.name}/{run.name}/{file.name}", _stamp(file.stat())


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be listed ({error.strerror})", hint="check its mode, or name another --results"
        ) from error


def _named_files(folders: Sequence[Path], *patterns: str) -> Iterator[tuple[str, Stamp]]:
    """The files of `genbench.paths.first_of_each`."""
    for path in first_of_each(folders, *patterns).values():
        yield str(path.absolute()), _stamp(path.stat())
