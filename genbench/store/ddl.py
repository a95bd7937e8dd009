"""The store's tables and views: ``schema.sql``, ``views.sql`` and ``published.sql``, their comments as DuckDB's own.

The SQL files are the one source: a ``--`` comment above a table, a view or a column becomes its COMMENT in the store,
where any client finds it (``duckdb_columns()``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import resources

from genbench.digest import digest
from genbench.store.access import literal

FILES = ("schema.sql", "views.sql", "published.sql")
"""In the order in which they are run."""

_CREATE = re.compile(r"CREATE (TABLE|VIEW) (\w+) \(")


@cache
def definitions() -> tuple[str, ...]:
    """The text of the SQL files."""
    folder = resources.files("genbench.store")
    return tuple((folder / name).read_text(encoding="utf-8") for name in FILES)


def schema_digest() -> str:
    """SHA-256 of the SQL files."""
    return digest(definitions())


def script() -> str:
    """Every statement that an empty store starts with."""
    return "\n".join([*definitions(), *(line for text in definitions() for line in comments(text))])


def comments(text: str) -> Iterator[str]:
    """COMMENT statements for the tables, views and columns that `text` describes.

    The text follows a fixed form: a comment of whole lines, then ``CREATE TABLE name (`` or ``CREATE VIEW name (``,
    then for each column a comment of whole lines and one line that begins with the column's name, then ``)``.
    """
    table: str | None = None
    said: list[str] = []
    for line in map(str.strip, text.splitlines()):
        if line.startswith("--"):
            said.append(line.removeprefix("--").strip())
            continue
        if create := _CREATE.fullmatch(line):
            kind, table = create.groups()
            yield f"COMMENT ON {kind} {table} IS {_quoted(said)};"
        elif line.startswith(")"):
            table = None
        elif table and said:
            column = line.split()[0].rstrip(",")
            yield f"COMMENT ON COLUMN {table}.{column} IS {_quoted(said)};"
        said = []


def _quoted(said: list[str]) -> str:
    return literal(" ".join(said))
