"""Commands that read the store: `sql`, `leaderboard`, `store rebuild`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from genbench import console
from genbench.cli.options import RegistryOption, ResultsOption, SuitesOption
from genbench.cli.output import print_cells, print_rows
from genbench.paths import data_folders, results_folder
from genbench.precision import Precision
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.store import Store

FormatOption = Annotated[Format, typer.Option("--format", help="How rows are printed.")]
store_app = typer.Typer(help="Look after the DuckDB store.", no_args_is_help=True)


@store_app.callback()
def _store() -> None:
    """Look after the DuckDB store, which can be rebuilt from the records at any time."""


def sql(
    query: Annotated[str, typer.Argument(help='SQL, for example "from leaderboard".')],
    *,
    form: FormatOption = Format.TABLE,
    results: ResultsOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Ask the store in SQL.

    DuckDB's dialect, read-only. "show tables" lists tables and views; each and its columns carry a comment:
    "select column_name, comment from duckdb_columns() where table_name = 'runs'".
    """
    with open_store(results, registry, suites) as store:
        answer = store.query(query)
    print_rows(answer.columns, answer.rows, form)


def leaderboard(
    suite: Annotated[str, typer.Argument(help="Name of a suite.")],
    *,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Show this metric; may be repeated.")] = None,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Show what was measured with such features.")
    ] = "exact",
    form: FormatOption = Format.TABLE,
    results: ResultsOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Show what was measured under a suite, best first by the first metric.

    A row a run and a column a metric; csv and json give the rows of the view "leaderboard" instead, with every digit.
    """
    from genbench.features.spaces import SPACES
    from genbench.report.leaderboard import leaderboard as read
    from genbench.store import Store

    with Store.open(
        results_folder(results), registry=data_folders("registry", registry), suites=data_folders("suites", suites)
    ) as store:
        widths = {name: space.width for name, space in SPACES.items()}
        board = read(store, suite, metrics=metric or (), widths=widths, precision=precision)
    if form in {Format.CSV, Format.JSON}:
        print_rows(board.rows.columns, board.rows.rows, form)
    else:
        print_cells(board.headings, board.cells, form, notes=board.notes)


@store_app.command()
def rebuild(
    results: ResultsOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Make the store anew from records, cards and suites."""
    from genbench.store import Store

    folder = results_folder(results)
    with Store.rebuild(
        folder, registry=data_folders("registry", registry), suites=data_folders("suites", suites)
    ) as store:
        counts = store.query(
            "SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM methods), (SELECT count(*) FROM suites)"
        ).rows[0]
        file = store.file
    console.note("{}: {} records, {} method cards, {} suites".format(file, *counts))


@contextmanager
def open_store(results: Path | None, registry: Path | None, suites: Path | None) -> Iterator[Store]:
    """The store for reading. Before the first run it is one without records, of which nothing is kept.

    Raises `StoreError` for a folder that was named with ``--results`` and is not there.
    """
    from genbench.store import Store

    folder = results_folder(results)
    with ExitStack() as stack:
        if results is None and not folder.exists():
            console.note(f"{folder}: nothing is measured yet")
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="genbench-")))
        yield stack.enter_context(
            Store.open(folder, registry=data_folders("registry", registry), suites=data_folders("suites", suites))
        )
