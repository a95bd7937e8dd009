"""The command `compare`."""

from __future__ import annotations

from typing import Annotated

import typer

from genbench.cli.options import (
    CacheOption,
    ConfidenceOption,
    FactorOption,
    RegistryOption,
    ResultsOption,
    SuitesOption,
)
from genbench.cli.output import print_text
from genbench.cli.store_commands import FormatOption, open_store
from genbench.comparisons.significance import CONFIDENCE, FACTOR
from genbench.paths import cache_folder
from genbench.precision import Precision
from genbench.report.tables import Format


def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="A run, a path that was scored, or a record.")],
    other: Annotated[str, typer.Argument(metavar="B", help="What is compared with it, named likewise.")],
    *,
    suite: Annotated[
        str | None, typer.Option("--suite", help="Compare what was measured under this suite.", show_default="theirs")
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option("--precision", help="Compare what was measured with such features.", show_default="theirs"),
    ] = None,
    classes: Annotated[bool, typer.Option("--classes", help="Show what each class does to FD in both.")] = False,
    images: Annotated[
        bool,
        typer.Option("--images", help="Show the Fréchet distance of B's images to A's own."),
    ] = False,
    factor: FactorOption = FACTOR,
    confidence: ConfidenceOption = CONFIDENCE,
    form: FormatOption = Format.TABLE,
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Say of each metric whether B is better than A, worse, the same, or not to be told apart.

    Images of one seed are compared with each other where each image's influence on FD is in the cache.
    """
    from genbench.comparisons.between import between
    from genbench.comparisons.compare import compare as compare_runs
    from genbench.report import comparison as report

    with open_store(results, registry, suites) as store:
        found = compare_runs(
            store,
            one,
            other,
            suite=suite,
            precision=precision,
            cache=cache_folder(cache),
            factor=factor,
            confidence=confidence,
        )
    if images:
        distances = between(found.one, found.other, cache_folder(cache))
        print_text(report.distance_text(found, distances), report.distance_rows(distances), form)
    elif classes:
        print_text(report.class_text(found), report.class_rows(found), form)
    else:
        print_text(report.metric_text(found, factor, confidence), report.metric_rows(found), form)
