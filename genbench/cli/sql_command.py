"""The command `sql`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from genbench.cli.options import RegistryOption, ResultsOption, SuitesOption
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption, open_store
from genbench.errors import UsageError
from genbench.report.tables import Format


def sql(
    query: Annotated[
        str | None, typer.Argument(help='SQL, for example "from leaderboard".', show_default="DuckDB's shell")
    ] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", help="Read the SQL from this file; - for standard input.")
    ] = None,
    form: FormatOption = Format.TABLE,
    results: ResultsOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> int:
    """Ask the store in SQL.

    DuckDB's dialect, read-only. "show tables" lists tables and views; each and its columns carry a comment:
    "select column_name, comment from duckdb_columns() where table_name = 'runs'". Without SQL, DuckDB's own shell opens
    the store in the same way, where it is installed.
    """
    if query is not None and file is not None:
        raise UsageError("give the SQL as an argument or with --file, not both", hint="leave one out")
    asked = query if file is None else _read(file)
    with open_store(results, registry, suites) as store:
        if asked is None:
            return _shell(store.file)
        answer = store.query(asked)
    try:
        print_rows(answer.columns, answer.rows, form)
    except RecursionError as error:
        raise UsageError(
            "a value of the answer is nested too deeply to be shown", hint="ask for it as text: column::VARCHAR"
        ) from error
    return 0


def _read(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{file}: cannot be read ({error.strerror})", hint="name a file of SQL") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 text", hint="name a file of SQL") from error


def _shell(store: Path) -> int:
    """DuckDB's shell on the store, read-only and without external access; returns its exit code."""
    from genbench.store.access import READ_ONLY

    program = shutil.which("duckdb")
    if program is None:
        raise UsageError(
            "no SQL given, and DuckDB's shell is not installed",
            hint='genbench sql "from leaderboard", or install the duckdb program to explore',
        )
    settings = " ".join(f"SET {name} = {value};" for name, value in READ_ONLY.items())
    return subprocess.run([program, "-readonly", "-cmd", settings, str(store)], check=False).returncode
