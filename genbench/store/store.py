"""The store: a DuckDB file over records, cards and suites, always up to date with them when it is open."""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn

import duckdb

from genbench import __version__, console
from genbench.errors import StoreError, UsageError, nearest
from genbench.store import ddl, ingest
from genbench.store.access import TIMEOUT, UnreadableStoreError, connect, exclusive, one_line
from genbench.store.sources import Key, Sources, Stamp

SCHEMA_VERSION = 5
"""Version of the tables and of what is put into them; a store of another version is rebuilt."""

FILE = "genbench.duckdb"

REPAIRS = 3
"""How often a store is made anew where something else destroys it again at once."""

SPOKEN_PROBLEMS = 5
"""How many left-out files are named before the rest is only counted."""

_UNWRITABLE = (duckdb.IOException, duckdb.TransactionException, duckdb.FatalException, duckdb.OutOfMemoryException)
"""What DuckDB raises where a disk is full or a quota is reached."""

_DAMAGED = (duckdb.IOException, duckdb.InternalException, duckdb.FatalException, duckdb.SerializationException)


class Rows(NamedTuple):
    """The answer to a query."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    """Python values; columns of DuckDB's type JSON are parsed."""


class _Unusable(NamedTuple):
    """Why a file cannot serve as the store."""

    reason: str | None
    """None when there is no file yet."""
    foreign: bool = False
    """Not known to be a store, and so not genbench's to delete."""


class Store:
    """A read-only view of everything that was measured. Use `Store.open`, as a context manager."""

    def __init__(self, file: Path, connection: duckdb.DuckDBPyConnection) -> None:
        self.file = file
        self._connection = connection

    @classmethod
    def open(
        cls,
        results: Path,
        *,
        registry: Sequence[Path] = (),
        suites: Sequence[Path] = (),
        read_only: bool = False,
        timeout: float = TIMEOUT,
    ) -> Store:
        """Open ``<results>/genbench.duckdb``, first read in what changed in records, cards and suites.

        A missing file is made. One that is damaged, foreign or of another version is rebuilt from the records, and said
        so on standard error; unless it is a store, it is kept under another name. Files that cannot be used (an edited
        record, a broken card) are left out and named on standard error each time.

        Args:
            results: folder of records.
            registry: folders of method cards, earlier ones win.
            suites: folders of suites, earlier ones win.
            read_only: take the store as it stands, write nothing.
            timeout: seconds to wait for other processes that use the file.

        Raises `StoreError` when there is no such results folder, the store cannot be written, or others hold it for
        longer than `timeout`.
        """
        sources = _sources(results, registry, suites)
        file = results / FILE
        opened = _open_valid(file, timeout) if read_only else _open_current(file, sources, timeout)
        if isinstance(opened, _Unusable):
            raise StoreError(
                f"{file}: {opened.reason or 'no such file'}", hint="`genbench store rebuild` makes it from the records"
            )
        store = cls(file, opened)
        store._tell_problems()
        return store

    @classmethod
    def rebuild(
        cls, results: Path, *, registry: Sequence[Path] = (), suites: Sequence[Path] = (), timeout: float = TIMEOUT
    ) -> Store:
        """Build the store anew from records, cards and suites, replace the old file by it, and open it.

        Raises as `Store.open` does.
        """
        sources = _sources(results, registry, suites)
        file = results / FILE
        with exclusive(file, timeout=timeout):
            old = _open_valid(file, timeout)
            if not isinstance(old, _Unusable):
                old.close()
            _build(file, sources, keep_old=isinstance(old, _Unusable) and old.foreign)
        return cls.open(results, registry=registry, suites=suites, timeout=timeout)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run SQL. It can read the store and nothing else: no files, no extensions, no settings.

        Raises `UsageError` with DuckDB's message on one line for SQL that is not valid or not allowed, and for values
        that Python cannot hold, and `StoreError` when the file turns out to be damaged.
        """
        if not _is_unicode(sql):
            raise UsageError("the query is not UTF-8 text", hint='for example "from leaderboard"')
        try:
            if not self._connection.extract_statements(sql):
                raise UsageError("the query is empty", hint=f'for example "from leaderboard"; {self._tables_hint()}')
            cursor = self._connection.execute(sql, list(parameters))
            description, rows = cursor.description or [], cursor.fetchall()
            parsed = [index for index, column in enumerate(description) if str(column[1]) == "JSON"]
            if parsed:
                rows = [tuple(json.loads(v) if i in parsed and v else v for i, v in enumerate(row)) for row in rows]
        except duckdb.Error as error:
            self._explain(error)
        except (OverflowError, ValueError, RecursionError) as error:  # of intervals, long numbers and deep nesting
            raise UsageError(
                f"a value of the answer is beyond what Python holds ({error})",
                hint="ask for it as text: column::VARCHAR",
            ) from error
        return Rows(tuple(str(column[0]) for column in description), rows)

    def tables(self) -> list[str]:
        """Names of tables and views."""
        return [name for (name,) in self._connection.execute("SHOW TABLES").fetchall()]

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _tables_hint(self) -> str:
        return f"tables and views: {', '.join(self.tables())}"

    def _explain(self, error: duckdb.Error) -> NoReturn:
        if isinstance(error, _DAMAGED) or "Corrupt database" in str(error):
            raise StoreError(
                f"{self.file}: {one_line(error)}", hint="`genbench store rebuild` makes it anew from the records"
            ) from error
        hint = self._tables_hint()
        if named := re.search(r'column "?(\w+)"? (?:not found|does not)|column named "(\w+)"', str(error)):
            columns = self._connection.execute("SELECT DISTINCT column_name FROM duckdb_columns() WHERE NOT internal")
            close = nearest(named[1] or named[2], sorted(name for (name,) in columns.fetchall()), limit=1)
            hint = f"did you mean {close[0]}?" if close else f"{hint}; `describe TABLE` lists columns"
        elif isinstance(error, duckdb.PermissionException | duckdb.InvalidInputException):
            hint = "SQL only reads the store; `--format csv > FILE` writes an answer to a file"
        raise UsageError(one_line(error), hint=hint) from error

    def _tell_problems(self) -> None:
        problems = self._connection.execute(
            "SELECT kind, path, problem FROM files WHERE problem IS NOT NULL ORDER BY kind, path"
        ).fetchall()
        for kind, path, problem in problems[:SPOKEN_PROBLEMS]:
            place = self.file.parent / path if kind == "record" else path
            console.warn(f"{place}: left out: {problem}")
        if len(problems) > SPOKEN_PROBLEMS:
            console.warn(
                f"{len(problems) - SPOKEN_PROBLEMS} more files are left out: "
                '`genbench sql "select path, problem from files where problem is not null"`'
            )


def _is_unicode(text: str) -> bool:
    """Whether the text is characters alone: bytes of a command line that are not UTF-8 are half surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _sources(results: Path, registry: Sequence[Path], suites: Sequence[Path]) -> Sources:
    if not results.is_dir():
        raise StoreError(
            f"{results}: no folder of results",
            hint="`genbench run quick` makes some; or name another folder with --results",
        )
    return Sources(results, tuple(registry), tuple(suites))


def _open_current(file: Path, sources: Sources, timeout: float) -> duckdb.DuckDBPyConnection | _Unusable:
    """The store, brought up to date, read-only."""
    opened = _open_valid(file, timeout)
    if not isinstance(opened, _Unusable):
        if _agrees(opened, sources.scan()):
            return opened
        opened.close()
    for _ in range(REPAIRS):
        with exclusive(file, timeout=timeout):
            _repair(file, sources, timeout)
        opened = _open_valid(file, timeout)
        if not isinstance(opened, _Unusable):
            break
    return opened


def _repair(file: Path, sources: Sources, timeout: float) -> None:
    """Bring the file up to date, or replace it and say so; the caller holds the right to write."""
    unusable = _catch_up(file, sources, timeout)
    if unusable:
        kept = _build(file, sources, keep_old=unusable.foreign)
        if unusable.reason:
            old = f"; the old file is kept as {kept.name}" if kept else ""
            console.warn(f"{file}: {unusable.reason}; rebuilt from the records{old}")


def _open_valid(file: Path, timeout: float) -> duckdb.DuckDBPyConnection | _Unusable:
    """The store as it stands, read-only."""
    if not file.exists():
        return _Unusable(None)
    try:
        connection = connect(file, read_only=True, timeout=timeout)
    except UnreadableStoreError as error:
        return _Unusable(error.reason, foreign=True)
    try:
        rows = connection.execute("SELECT schema_version, schema_digest FROM store_info").fetchall()
    except duckdb.CatalogException:
        unusable = _Unusable("another program's database", foreign=True)
    except duckdb.Error as error:
        unusable = _Unusable(one_line(error), foreign=True)
    else:
        if rows == [(SCHEMA_VERSION, ddl.schema_digest())]:
            return connection
        unusable = _Unusable("made by another version of genbench")
    connection.close()
    return unusable


def _agrees(connection: duckdb.DuckDBPyConnection, found: dict[Key, Stamp]) -> bool:
    try:
        return ingest.stamps(connection) == found
    except duckdb.Error:  # damaged or of another version: catching up finds out which
        return False


def _catch_up(file: Path, sources: Sources, timeout: float) -> _Unusable | None:
    """Bring the file up to date, or say why it has to be replaced; the caller holds the right to write."""
    opened = _open_valid(file, timeout)
    if isinstance(opened, _Unusable):
        return opened
    opened.close()
    try:
        with connect(file, read_only=False, timeout=timeout) as connection:
            ingest.catch_up(connection, sources)
    except UnreadableStoreError as error:
        return _Unusable(error.reason, foreign=True)
    except duckdb.Error as error:
        return _Unusable(one_line(error), foreign=True)
    return None


def _build(file: Path, sources: Sources, *, keep_old: bool = False) -> Path | None:
    """Make the store under another name and rename it; returns where the old file was kept, if it was."""
    _remove_unfinished(file)  # whoever left some was killed: only one process at a time has the right to write
    fresh = file.with_name(f".{file.stem}-{secrets.token_hex(4)}{file.suffix}")
    try:
        with duckdb.connect(str(fresh)) as connection:
            connection.execute(f"BEGIN;{ddl.script()}COMMIT;")
            connection.execute(
                "INSERT INTO store_info VALUES (?, ?, ?)", [SCHEMA_VERSION, ddl.schema_digest(), __version__]
            )
            ingest.catch_up(connection, sources)
        kept = _set_aside(file) if keep_old and file.exists() else None
        # The old file's log must not be replayed into the new file.
        _log(file).unlink(missing_ok=True)
        fresh.replace(file)
    except (*_UNWRITABLE, OSError) as error:
        reason = one_line(error) if isinstance(error, duckdb.Error) else str(error.strerror)
        raise StoreError(
            f"{file}: cannot be built ({reason})", hint="free some space, or name another folder with --results"
        ) from error
    except duckdb.Error as error:
        raise StoreError(
            f"{file}: cannot be built ({one_line(error)})",
            hint="a record, card or suite holds what the store does not: take away those that were added last, and "
            "report it as a bug of genbench",
        ) from error
    finally:
        _remove_unfinished(file)
    return kept


def _remove_unfinished(file: Path) -> None:
    for unfinished in file.parent.glob(f".{file.stem}-*{file.suffix}*"):
        unfinished.unlink(missing_ok=True)


def _set_aside(file: Path) -> Path:
    """Rename a file with its log, in which alone may be what its program wrote last; returns its new name."""
    names = (file.with_name(f"{file.stem}-old-{number}{file.suffix}") for number in itertools.count(1))
    kept = next(name for name in names if not (name.exists() or _log(name).exists()))
    if _log(file).exists():
        _log(file).rename(_log(kept))  # first: a log without its file would be taken for nobody's
    return file.rename(kept)


def _log(file: Path) -> Path:
    """What DuckDB has written of a database beside it."""
    return file.with_name(f"{file.name}.wal")
