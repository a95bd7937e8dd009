"""The command `leaderboard`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genbench import console
from genbench.cli.options import CacheOption, RegistryOption, ResultsOption, SuitesOption
from genbench.cli.output import print_cells, print_rows
from genbench.cli.store_commands import FormatOption
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.precision import Precision
from genbench.report.tables import Format


def leaderboard(
    names: Annotated[list[str], typer.Argument(metavar="SUITE...", help="Names of suites.")],
    *,
    metric: Annotated[list[str] | None, typer.Option("--metric", help="Show this metric; may be repeated.")] = None,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Show what was measured with such features.")
    ] = "exact",
    with_published: Annotated[
        bool, typer.Option("--with-published", help="Show figures of the literature below, marked and not ranked.")
    ] = False,
    inject: Annotated[
        Path | None, typer.Option("--inject", help="Put the table into this Markdown file, between its markers.")
    ] = None,
    form: FormatOption = Format.TABLE,
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Show what was measured under suites, best first by the first metric.

    A row a run and a column a metric; csv and json give the rows of the view "leaderboard" instead, with every digit.

    A file for --inject has two lines where the table belongs: <!-- genbench leaderboard SUITE --> above and
    <!-- genbench leaderboard end --> below. Metrics that --metric chooses are kept in the first one, as metric=fid,kid
    behind the suite, and chosen again where --metric is left out.
    """
    from genbench.features.spaces import SPACES
    from genbench.report.injection import chosen_metrics
    from genbench.report.injection import inject as put
    from genbench.report.leaderboard import leaderboards
    from genbench.report.tables import markdown
    from genbench.store import Store

    metrics = tuple(metric or (chosen_metrics(inject, names) if inject is not None else ()))
    with Store.open(
        results_folder(results), registry=data_folders("registry", registry), suites=data_folders("suites", suites)
    ) as store:
        board = leaderboards(
            store,
            names,
            metrics=metrics,
            widths={name: space.width for name, space in SPACES.items()},
            precision=precision,
            cache=cache_folder(cache),
            published=with_published,
        )
    if inject is not None:
        changed = put(inject, names, markdown(board.headings, board.cells, board.notes), metrics)
        console.note(f"{inject}: leaderboard of {', '.join(names)} {'replaced' if changed else 'is up to date'}")
    elif form in {Format.CSV, Format.JSON}:
        print_rows(board.rows.columns, board.rows.rows, form)
    else:
        print_cells(board.headings, board.cells, form, notes=board.notes)
