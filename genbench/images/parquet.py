"""A Parquet file with a column of encoded images, read with DuckDB a few rows at a time.

The column holds the files' bytes, or the pair ``{bytes, path}`` that Hugging Face `datasets` writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from genbench.errors import ImageError
from genbench.images.decode import check_encoded_size
from genbench.images.encoded import IMAGE_LIMIT, READ_AHEAD, ReadBytes

# A query costs about as much for a few rows as for hundreds, and holds what it returns: this many bytes at most.
_SLICE_BYTES = 32 * 2**20
_SLICE_ROWS = 2048  # DuckDB's vector
_NAME_LIMIT = 4096  # bytes of a path on Linux
_USUAL_NAMES = ("image", "img", "images", "png", "jpg")


class ParquetTable:
    """Container of the images in a Parquet file, in row order; their names are the stored paths, or ``row 17``.

    Raises `ImageError` if it cannot be read, has no rows, or not one column that is plainly the images.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        columns = [(str(name), str(kind)) for name, kind, *_ in self._query("DESCRIBE SELECT *")]
        column = _image_column(path, columns)
        self._bytes, stored_path = column.bytes, column.path
        [(total, longest)] = self._query(f"SELECT count(*), max(strlen({stored_path}))")
        if not total:
            raise ImageError(f"{path}: has no rows", hint="write the file again, with one row an image")
        if total > IMAGE_LIMIT or (longest or 0) > _NAME_LIMIT:
            raise ImageError(
                f"{path}: has {total:,} rows, and names of up to {longest or 0:,} bytes",
                hint=f"write up to {IMAGE_LIMIT:,} rows with paths of up to {_NAME_LIMIT:,} bytes into one file",
            )
        rows = self._query(
            f"SELECT file_row_number, {stored_path}, octet_length({self._bytes})", "ORDER BY file_row_number"
        )
        self.names = tuple(f"row {row}" if name is None else str(name) for row, name, _ in rows)
        self._sizes = [size for _, _, size in rows]

    def readers(self, first: int, count: int) -> Iterator[ReadBytes]:
        """One function an image; a slice of rows is read at a time, as the iterator advances, and large ones later."""
        for start, end in self._slices(first, first + count):
            if self._sizes[start] > READ_AHEAD:
                yield partial(self._row, start)
            else:
                yield from (partial(bytes, data) for data in self._rows(start, end))

    def _slices(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """Consecutive rows up to `_SLICE_BYTES`; each large row by itself. Raises `ImageError` for rows of no image."""
        start, held = first, 0
        for index in range(first, end):
            size = self._sizes[index]
            if size is None:
                raise ImageError(
                    f"{self.place(index)}: holds no bytes",
                    hint="write the images into the file; paths to other files are not followed",
                )
            check_encoded_size(size, self.place(index))
            full = held + size > _SLICE_BYTES or index - start == _SLICE_ROWS
            if index > start and (full or max(size, self._sizes[index - 1]) > READ_AHEAD):
                yield start, index
                start, held = index, 0
            held += size
        if start < end:
            yield start, end

    def _row(self, index: int) -> bytes:
        return self._rows(index, index + 1)[0]

    def _rows(self, start: int, end: int) -> list[bytes]:
        rows = self._query(
            f"SELECT {self._bytes}",
            "WHERE file_row_number >= ? AND file_row_number < ? ORDER BY file_row_number",
            start,
            end,
        )
        if [len(data) for (data,) in rows] != self._sizes[start:end]:
            raise _damaged(self.path, f"rows {start} to {end} are not all there")
        return [data for (data,) in rows]

    def place(self, index: int) -> str:
        """The file and the row."""
        return f"{self.path}: row {index}"

    def _query(self, select: str, rest: str = "", *parameters: int) -> list[tuple[Any, ...]]:
        """Rows of ``select FROM <the file> rest``.

        Each query has a connection of its own, because one that lives on would keep the file's blocks in memory.
        """
        table = "read_parquet(?, file_row_number = true, hive_partitioning = false)"
        # Nothing is to be fetched from anywhere, nor installed, on account of a file's content.
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "threads": 1,
            "memory_limit": "1GiB",
            "temp_directory": "",
        }
        try:
            with duckdb.connect(":memory:", config=config) as connection:
                found = connection.execute(f"{select} FROM {table} {rest}", [_literal(self.path), *parameters])
                return found.fetchall()
        except (duckdb.Error, UnicodeDecodeError, RuntimeError, ValueError) as error:
            raise _damaged(self.path, str(error).partition("\n")[0]) from error


class _Column(NamedTuple):
    """SQL for the two parts of an image column."""

    bytes: str
    path: str


def _image_column(path: Path, columns: list[tuple[str, str]]) -> _Column:
    found = {name: column for name, kind in columns if (column := _as_image(name, kind))}
    if len(found) == 1:
        return next(iter(found.values()))
    for name in _USUAL_NAMES:
        if name in found:
            return found[name]
    if found:
        raise ImageError(
            f"{path}: {len(found)} columns could be the images: {', '.join(found)}",
            hint="name the one that is `image`, or leave the others out",
        )
    listed = ", ".join(f"{name} {kind}" for name, kind in columns if name != "file_row_number")
    raise ImageError(
        f"{path}: has no column of images (its columns: {listed})",
        hint="store the encoded files as BLOB or as STRUCT(bytes BLOB, path VARCHAR), in a column named `image`",
    )


def _as_image(name: str, kind: str) -> _Column | None:
    quoted = '"' + name.replace('"', '""') + '"'
    if kind == "BLOB":
        return _Column(quoted, "NULL::VARCHAR")
    fields = _struct_fields(kind)
    if fields.get("bytes") == "BLOB":
        return _Column(f"{quoted}.bytes", f"{quoted}.path" if fields.get("path") == "VARCHAR" else "NULL::VARCHAR")
    return None


def _struct_fields(kind: str) -> dict[str, str]:
    """Fields of ``STRUCT(bytes BLOB, path VARCHAR)`` as DuckDB writes it; only flat structs matter here."""
    if not kind.startswith("STRUCT(") or not kind.endswith(")"):
        return {}
    fields = (field.rpartition(" ") for field in kind[len("STRUCT(") : -1].split(", "))
    return {name.strip('"'): of for name, _, of in fields}


def _literal(path: Path) -> str:
    """The path as a DuckDB pattern that matches this file only."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in str(path.absolute()))


def _damaged(path: Path, what: str) -> ImageError:
    return ImageError(
        f"{path}: the Parquet file cannot be read ({what})", hint="check that you may read it, or write it again"
    )
