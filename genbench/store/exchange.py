"""Records and tables that travel: export to files, and merging the records of other machines.

The record is what cannot be lost, so it is what travels: ``records.parquet`` holds every record's text as it was
written, and whoever reads it can check each digest. The tables beside it are for other programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import duckdb

from genbench.errors import StoreError, UsageError
from genbench.files import write_atomically
from genbench.store.access import literal, one_line
from genbench.store.store import Store

ARCHIVE = "records.parquet"
_BATCH = 1000

TableFormat = Literal["parquet", "csv"]
"""How tables are exported."""


class Merged(NamedTuple):
    """What became of the records of other places."""

    added: int
    present: int
    """Were here already."""
    left_out: tuple[str, ...]
    """Why, a sentence a record."""


def export(store: Store, folder: Path, form: TableFormat) -> list[Path]:
    """Write every table and view into `folder`, and every record into ``records.parquet``; returns the files.

    Files of these names are replaced. Raises `StoreError` when the folder cannot be written.
    """
    results, tables = store.file.parent, store.tables()
    paths = [result for (result,) in store.query("SELECT record_path FROM runs ORDER BY record_path").rows]
    store.close()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            files = [_write_archive(connection, results, paths, folder / ARCHIVE)]
            connection.execute(f"ATTACH {literal(str(store.file))} AS store (READ_ONLY); USE store;")
            for table in tables:
                file = folder / f"{table}.{form}"
                options = "FORMAT parquet" if form == "parquet" else "FORMAT csv, HEADER"
                connection.execute(f'COPY (FROM "{table}" ORDER BY ALL) TO {literal(str(file))} ({options})')
                files.append(file)
    except (OSError, duckdb.IOException) as error:
        reason = one_line(error) if isinstance(error, duckdb.Error) else error.strerror
        raise StoreError(f"{folder}: cannot be written ({reason})", hint="name another folder") from error
    return files


def _write_archive(connection: duckdb.DuckDBPyConnection, results: Path, paths: list[str], file: Path) -> Path:
    connection.execute("CREATE TEMP TABLE records (path VARCHAR, record VARCHAR)")
    for start in range(0, len(paths), _BATCH):
        batch = paths[start : start + _BATCH]
        texts = [(results / path).read_text(encoding="utf-8") for path in batch]
        connection.execute("INSERT INTO records SELECT unnest(?::VARCHAR[]), unnest(?::VARCHAR[])", [batch, texts])
    connection.execute(f"COPY (FROM records ORDER BY path) TO {literal(str(file))} (FORMAT parquet)")
    return file


def merge(results: Path, sources: Iterable[Path]) -> Merged:
    """Add the records of other results folders, archives and files to `results`; what is there already stays.

    A source is a results folder, a Parquet file of records (see `export`) or one record. Records that cannot be read,
    were edited, are of a newer genbench, or have the id of another record are left out. Preview pictures come along
    from folders.

    Raises `UsageError` for a source that is none of these, and `StoreError` when `results` cannot be written.
    """
    added = present = 0
    left_out: list[str] = []
    for source in sources:
        for found in _records(source):
            if isinstance(found, StoreError):
                left_out.append(_told(found))
                continue
            try:
                path = _missing(results, found)
            except StoreError as error:
                left_out.append(_told(error))
                continue
            if path is None:
                present += 1
            else:
                _write(path, found)
                added += 1
    return Merged(added, present, tuple(left_out))


def _told(error: StoreError) -> str:
    return f"{error}; {error.hint}"


class _Found(NamedTuple):
    """A record of a source."""

    where: str
    text: str
    preview: Path | None = None
    """Where its picture is, if it has one."""


def _records(source: Path) -> Iterator[_Found | StoreError]:
    """The records of a source, and why those that cannot be read are none."""
    from genbench.records import record_files

    if source.is_dir():
        files = list(record_files(source))
        if not files:
            raise UsageError(f"{source}: holds no records", hint="name a results folder: <suite>/<run>/<record>.json")
        yield from map(_found, files)
    elif source.suffix == ".json" and source.is_file():
        yield _found(source)
    elif source.suffix == ".parquet" and source.is_file():
        yield from (_Found(f"{source}: {path}", text) for path, text in _read_archive(source))
    else:
        problem = "not a source of records" if source.exists() else "no such file or folder"
        raise UsageError(
            f"{source}: {problem}",
            hint="name a results folder, a records.parquet of `genbench store export`, or a record",
        )


def _found(path: Path) -> _Found | StoreError:
    from genbench.records import read_text

    try:
        return _Found(str(path), read_text(path), path.with_suffix(".png"))
    except StoreError as error:
        return error


def _read_archive(file: Path) -> Iterator[tuple[str, str]]:
    with duckdb.connect() as connection:
        try:
            # What is no text is told as no record, like text that is none.
            columns = "path::VARCHAR, coalesce(record::VARCHAR, '')"
            rows = connection.execute(f"SELECT {columns} FROM read_parquet({literal(str(file))})")
            while batch := rows.fetchmany(_BATCH):
                yield from batch
        except duckdb.Error as error:
            raise UsageError(
                f"{file}: not a Parquet file of records ({one_line(error)})",
                hint="`genbench store export DIR` writes one as records.parquet",
            ) from error


def _missing(results: Path, found: _Found) -> Path | None:
    """Where a record belongs; None if it is there. Raises `StoreError` for one that is not to be kept."""
    from genbench.records import parse_record, read_record

    record = parse_record(found.text, found.where)
    path = results / record.folder / f"{record.id}.json"
    if not path.exists():
        return path
    if read_record(path).digest != record.digest:
        raise StoreError(f"{found.where}: has the id of {path} and other content", hint="delete one of the two")
    return None


def _write(path: Path, found: _Found) -> None:
    from genbench.records import share

    try:
        if found.preview is not None and found.preview.is_file():
            write_atomically(path.with_suffix(".png"), found.preview.read_bytes())
        write_atomically(path, found.text.encode())
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror})",
            hint="name a folder that can be written with --results; what was merged is kept",
        ) from error
    share(path)
