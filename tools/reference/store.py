"""Tables and views of the store, from the comments of its SQL files."""

from __future__ import annotations

import duckdb

from genbench.store.ddl import script
from tools.reference.markdown import code, page, prose, table


def tables() -> str:
    """The page of tables and views."""
    with duckdb.connect() as store:
        store.execute(script())
        kinds = {"Tables": _described(store, "duckdb_tables()", "table_name")}
        kinds["Views"] = _described(store, "duckdb_views()", "view_name")
    return page(
        "Tables and views of the store",
        "Public interface, for `genbench sql` and any DuckDB client; [worked queries](../sql.md) show their use.",
        *(part for title, sections in kinds.items() for part in (f"## {title}", *sections)),
    )


def _described(store: duckdb.DuckDBPyConnection, catalog: str, name: str) -> list[str]:
    found = store.execute(f"SELECT {name}, comment FROM {catalog} WHERE NOT internal ORDER BY 1").fetchall()
    return [f"### {each}\n\n{prose(comment)}\n\n{_columns(store, each)}" for each, comment in found]


def _columns(store: duckdb.DuckDBPyConnection, name: str) -> str:
    rows = store.execute(
        "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index",
        [name],
    ).fetchall()
    return table(("column", "type", "what"), [(code(column), kind, prose(comment)) for column, kind, comment in rows])
