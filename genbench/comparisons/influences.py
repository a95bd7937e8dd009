"""Standard errors of differences from each image's influence: images of one seed are compared with each other.

The influence of an image on a Fréchet distance is its first-order part in it (`genbench.metrics.frechet`). Two runs
that share a seed block start image i from the same noise and label, so their influences move together; the standard
error of the difference is std(influence of B - influence of A) / √n, whatever the correlation.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from genbench import remote
from genbench.comparisons.measured import Block
from genbench.errors import StoreError
from genbench.store.access import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class ClassDifference(NamedTuple):
    """What a class does to the second run's distance, less what it does to the first's."""

    value: float
    stderr: float | None
    """None for a single image."""


class _Joined(NamedTuple):
    """Images of both sides, as SQL."""

    source: str
    """What stands after FROM."""
    difference: str
    """Influence on the second side less that on the first."""


class Influences:
    """Tables of influences below the cache folder of this machine."""

    def __init__(self, cache: Path | None) -> None:
        self._cache = cache
        self._opened: DuckDBPyConnection | None = None
        self._columns: dict[str, set[str]] = {}

    def paired_stderr(self, metric: str, one: Block, other: Block) -> float | None:
        """Standard error of the difference of two blocks of one seed range; None where it cannot be paired.

        It cannot for statistics other than fd, for images that existed already, and where a table is gone.
        """
        joined = self._join(metric, one, other)
        if joined is None:
            return None
        query = f"SELECT count(*), stddev_samp({joined.difference}) FROM {joined.source}"
        [(n, deviation)] = self._connection.execute(query).fetchall()
        return None if n != one.n or deviation is None else float(deviation) / float(n) ** 0.5

    def paired_classes(self, metric: str, one: Block, other: Block) -> dict[int, ClassDifference] | None:
        """Mean difference of influence by class; None where it cannot be paired, or classes are not known."""
        joined = self._join(metric, one, other, "class")
        if joined is None:
            return None
        query = (
            f"SELECT class, avg({joined.difference}), stddev_samp({joined.difference}) / sqrt(count(*)) "
            f"FROM {joined.source} GROUP BY class"
        )
        return {int(label): ClassDifference(*found) for label, *found in self._connection.execute(query).fetchall()}

    def _join(self, metric: str, one: Block, other: Block, *keys: str) -> _Joined | None:
        statistic, _, space = metric.partition("@")
        if statistic != "fd" or one.first_seed is None or (one.first_seed, one.n) != (other.first_seed, other.n):
            return None
        first, second = (self._table(block, {space, "image", *keys}) for block in (one, other))
        if first is None or second is None:
            return None
        column = '"' + space.replace('"', '""') + '"'
        return _Joined(
            f"{first} AS one JOIN {second} AS other USING ({', '.join(('image', *keys))})",
            f"other.{column} - one.{column}",
        )

    def _table(self, block: Block, columns: set[str]) -> str | None:
        """The block's table as SQL, if it is there and has the columns."""
        if self._cache is None or block.influence is None:
            return None
        path = self._cache / block.influence
        if not remote.present(path):
            return None
        table = f"read_parquet({literal(str(path))})"
        if table not in self._columns:
            self._columns[table] = self._described(table, path)
        return table if columns <= self._columns[table] else None

    def _described(self, table: str, path: Path) -> set[str]:
        import duckdb

        try:
            # Reading every row finds damage that the file's footer does not show.
            rows = self._connection.execute(f"SUMMARIZE SELECT * FROM {table}").fetchall()
        except duckdb.Error as error:
            raise StoreError(
                f"{path}: no readable table of influences",
                hint="delete it: without it errors are taken as independent",
            ) from error
        return {row[0] for row in rows}

    @property
    def _connection(self) -> DuckDBPyConnection:
        if self._opened is None:
            import duckdb

            self._opened = duckdb.connect()
        return self._opened
