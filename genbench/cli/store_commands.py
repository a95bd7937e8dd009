"""Commands that look after the store, and how other commands open it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genbench import console
from genbench.cli.options import RegistryOption, ResultsOption, SuitesOption
from genbench.paths import data_folders, results_folder
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.store import Store

FormatOption = Annotated[Format, typer.Option("--format", help="How rows are printed.")]
store_app = typer.Typer(help="Look after the DuckDB store.", no_args_is_help=True)


@store_app.callback()
def _store() -> None:
    """Look after the DuckDB store, which can be rebuilt from the records at any time."""


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


@store_app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.")],
    *,
    form: Annotated[Literal["parquet", "csv"], typer.Option("--format", help="How tables are written.")] = "parquet",
    results: ResultsOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Write every table and view to a file, and every record to records.parquet."""
    from genbench.store.exchange import export as write

    with open_store(results, registry, suites) as store:
        files = write(store, folder, form)
    console.note(f"{folder}: {files[0].name} and {len(files) - 1} tables")


@store_app.command()
def merge(
    sources: Annotated[list[Path], typer.Argument(help="Results folders, records.parquet files, or records.")],
    *,
    results: ResultsOption = None,
) -> int:
    """Add the records of other machines; what is there already stays.

    Exits with 1 when a record was left out.
    """
    from genbench.store.exchange import merge as add

    folder = results_folder(results)
    merged = add(folder, sources)
    for reason in merged.left_out:
        console.warn(f"left out: {reason}")
    console.note(
        f"{folder}: {merged.added} records added, {merged.present} there already, {len(merged.left_out)} left out"
    )
    return 1 if merged.left_out else 0
