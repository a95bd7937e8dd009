"""From files to rows: what changed is forgotten and read again, everything else stays.

Whatever the order in which files appear, and however often this runs or is killed, the same files give the same rows:
each step is a transaction that leaves `files` and the tables in agreement, and the next call does what is still open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genbench.errors import ConfigError, StoreError
from genbench.store.literature import PUBLISHED_TABLES, claim_rows, published_rows
from genbench.store.rows import (
    Row,
    contribution_rows,
    cost_row,
    measurement_rows,
    method_row,
    part_rows,
    run_row,
    suite_row,
    variant_rows,
)
from genbench.store.sources import Key, Sources, Stamp

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from genbench.records import Record

BATCH = 1000
"""Records that are read before they are written: what bounds memory."""


def stamps(connection: DuckDBPyConnection) -> dict[Key, Stamp]:
    """The files that the store was filled from."""
    rows = connection.execute("SELECT kind, path, size, mtime_ns FROM files").fetchall()
    return {Key(kind, path): Stamp(size, mtime_ns) for kind, path, size, mtime_ns in rows}


def catch_up(connection: DuckDBPyConnection, sources: Sources) -> None:
    """Bring the tables up to date with the files.

    Files that cannot be used are left out and their problem noted in `files`. Raises `StoreError` when a folder cannot
    be listed.
    """
    found, known = sources.scan(), stamps(connection)
    if _of_kind("card", found) != _of_kind("card", known):
        _refresh_cards(connection, _of_kind("card", found))
    if _of_kind("suite", found) != _of_kind("suite", known):
        _refresh_suites(connection, _of_kind("suite", found))
    if _of_kind("published", found) != _of_kind("published", known):
        _refresh_published(connection, _of_kind("published", found))
    _refresh_records(connection, sources.results, _of_kind("record", found), _of_kind("record", known))


def _of_kind(kind: str, files: Mapping[Key, Stamp]) -> dict[str, Stamp]:
    return {key.path: stamp for key, stamp in files.items() if key.kind == kind}


class _Loaded(NamedTuple):
    """A record file after reading: a record or a problem."""

    path: str
    record: Record | None
    problem: str | None


def _refresh_records(
    connection: DuckDBPyConnection, results: Path, found: Mapping[str, Stamp], known: Mapping[str, Stamp]
) -> None:
    outdated = [path for path, stamp in known.items() if found.get(path) != stamp]
    # A vanished file may have hidden another one with the same record.
    to_read = {path for path, stamp in found.items() if known.get(path) != stamp}
    to_read.update(_forget_files(connection, outdated) & found.keys())
    ordered = sorted(to_read)
    for start in range(0, len(ordered), BATCH):
        loaded = [_load(results, path) for path in ordered[start : start + BATCH]]
        ids = {item.record.id for item in loaded if item.record}
        siblings = _forget_records(connection, ids)
        loaded += [_load(results, path) for path in siblings]
        _add(connection, loaded, found)


def _load(results: Path, path: str) -> _Loaded:
    from genbench.records import read_record

    try:
        return _Loaded(path, read_record(results / path), None)
    except StoreError as error:
        return _Loaded(path, None, f"{str(error).removeprefix(f'{results / path}: ')}; {error.hint}")


def _forget_files(connection: DuckDBPyConnection, paths: Sequence[str]) -> set[str]:
    """Forget files and their records; returns every file that held one of those records."""
    if not paths:
        return set()
    ids = connection.execute(
        "SELECT record_id FROM files WHERE kind = 'record' AND path IN (SELECT unnest(?::VARCHAR[])) "
        "AND record_id IS NOT NULL",
        [list(paths)],
    ).fetchall()
    forgotten = _forget_records(connection, {row[0] for row in ids})
    connection.execute(
        "DELETE FROM files WHERE kind = 'record' AND path IN (SELECT unnest(?::VARCHAR[]))", [list(paths)]
    )
    return forgotten


def _forget_records(connection: DuckDBPyConnection, ids: set[str]) -> set[str]:
    """Forget records and the files that held them; returns those files."""
    chosen = [sorted(ids)]
    # Its own transaction: DuckDB does not take back a primary key in the transaction that deleted it.
    connection.execute("BEGIN")
    rows = connection.execute("SELECT path FROM files WHERE record_id IN (SELECT unnest(?::VARCHAR[]))", chosen)
    paths = {row[0] for row in rows.fetchall()}
    if paths:
        for table in ("runs", "measurements", "measurement_parts", "class_contributions", "costs", "files"):
            connection.execute(f"DELETE FROM {table} WHERE record_id IN (SELECT unnest(?::VARCHAR[]))", chosen)
    connection.execute("COMMIT")
    return paths


def _add(connection: DuckDBPyConnection, loaded: Iterable[_Loaded], found: Mapping[str, Stamp]) -> None:
    """Add records, each once: of several files with one record the first by name counts."""
    files: list[Row] = []
    chosen: dict[str, _Loaded] = {}
    for item in sorted(loaded):
        problem = item.problem
        if item.record:
            first = chosen.setdefault(item.record.id, item)
            if first.record and first.record.digest != item.record.digest:
                problem = f"has the id of {first.path} and other content; delete one of the two"
        files.append(
            {
                **_file_row("record", item.path, found[item.path], problem),
                "record_id": item.record.id if item.record else None,
            }
        )
    records = [(item.record, item.path) for item in chosen.values() if item.record]
    connection.execute("BEGIN")
    _insert(connection, "runs", [run_row(record, path) for record, path in records])
    _insert(connection, "measurements", [row for record, _ in records for row in measurement_rows(record)])
    _insert(connection, "measurement_parts", [row for record, _ in records for row in part_rows(record)])
    _insert(connection, "class_contributions", [row for record, _ in records for row in contribution_rows(record)])
    _insert(connection, "costs", [cost_row(record) for record, _ in records])
    _insert(connection, "files", files)
    connection.execute("COMMIT")


def _refresh_cards(connection: DuckDBPyConnection, found: Mapping[str, Stamp]) -> None:
    from genbench.cards import load_card

    methods: list[Row] = []
    variants: dict[str, Row] = {}
    claims: list[Row] = []
    files: list[Row] = []
    for path, stamp in sorted(found.items()):
        problem = None
        try:
            card = load_card(Path(path))
            claimed = claim_rows(card, path)
        except ConfigError as error:
            problem = f"{str(error).removeprefix(f'{path}: ')}; {error.hint}"
        else:
            taken = sorted(card.variants.keys() & variants.keys())
            if taken:
                problem = f"variant {taken[0]!r} is already that of method {variants[taken[0]]['method']!r}; rename one"
            else:
                methods.append(method_row(card, path))
                variants.update({row["variant"]: row for row in variant_rows(card)})
                claims += claimed
        files.append(_file_row("card", path, stamp, problem))
    _replace(connection, "card", files, {"methods": methods, "variants": list(variants.values()), "claims": claims})


def _refresh_suites(connection: DuckDBPyConnection, found: Mapping[str, Stamp]) -> None:
    from genbench.suites import load_suite

    suites: list[Row] = []
    files: list[Row] = []
    for path, stamp in sorted(found.items()):
        problem = None
        try:
            suites.append(suite_row(load_suite(Path(path)), path))
        except ConfigError as error:
            problem = f"{str(error).removeprefix(f'{path}: ')}; {error.hint}"
        files.append(_file_row("suite", path, stamp, problem))
    _replace(connection, "suite", files, {"suites": suites})


def _refresh_published(connection: DuckDBPyConnection, found: Mapping[str, Stamp]) -> None:
    tables: dict[str, list[Row]] = {table: [] for table in PUBLISHED_TABLES}
    files: list[Row] = []
    for path, stamp in sorted(found.items()):
        problem = None
        try:
            table, rows = published_rows(Path(path))
        except ConfigError as error:
            problem = f"{str(error).removeprefix(f'{path}: ')}; {error.hint}"
        else:
            tables[table] += rows
        files.append(_file_row("published", path, stamp, problem))
    _replace(connection, "published", files, tables)


def _file_row(kind: str, path: str, stamp: Stamp, problem: str | None) -> Row:
    return {"path": path, "kind": kind, **stamp._asdict(), "record_id": None, "problem": problem}


def _replace(
    connection: DuckDBPyConnection, kind: str, files: Sequence[Row], tables: Mapping[str, Sequence[Row]]
) -> None:
    """Give tables new content. Killed between the two transactions, the next call finds no files and starts again."""
    connection.execute("BEGIN")
    for table in tables:
        connection.execute(f"DELETE FROM {table}")
    connection.execute("DELETE FROM files WHERE kind = ?", [kind])
    connection.execute("COMMIT")
    connection.execute("BEGIN")
    for table, rows in tables.items():
        _insert(connection, table, rows)
    _insert(connection, "files", files)
    connection.execute("COMMIT")


def _insert(connection: DuckDBPyConnection, table: str, rows: Sequence[Row]) -> None:
    """Insert rows by column, one statement for all: a statement a row takes DuckDB thirty times as long."""
    if not rows:
        return
    types = connection.execute(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index", [table]
    ).fetchall()
    values = ", ".join(f"unnest(?::{data_type}[])" for _, data_type in types)
    connection.execute(f"INSERT INTO {table} SELECT {values}", [[row[name] for row in rows] for name, _ in types])
