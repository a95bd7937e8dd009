"""The command `study`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from genbench import console
from genbench.cli.options import RegistryOption, ResultsOption, SuitesOption
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption, open_store
from genbench.report.tables import Format


class Study(StrEnum):
    """Published studies that can be made again."""

    IREPA = "irepa"


class Paper(StrEnum):
    """What a figure is drawn for."""

    LIGHT = "light"
    DARK = "dark"


def study(
    name: Annotated[Study, typer.Argument(help="Which study.")] = Study.IREPA,
    *,
    svg: Annotated[Path | None, typer.Option("--svg", help="Draw its figure into this file.")] = None,
    paper: Annotated[Paper, typer.Option("--theme", help="Colours of the figure.")] = Paper.LIGHT,
    form: FormatOption = Format.TABLE,
    results: ResultsOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Make a published study again from its points: irepa, what makes an encoder a good target of alignment.

    Prints the correlation of each measure of an encoder with the FID of the generator aligned to it.
    """
    from genbench.errors import UsageError
    from genbench.features.optional import required
    from genbench.files import write_atomically
    from genbench.report.figures import encoders
    from genbench.report.figures.canvas import THEMES, Ink, render
    from genbench.report.figures.chart import records

    with open_store(results, registry, suites) as store:
        answer = store.query(encoders.CORRELATIONS)
        points = records(store.query(encoders.SQL))
    print_rows(answer.columns, answer.rows, form)
    if svg:
        required("matplotlib", by="a figure", extra="report")
        theme = next(theme for theme in THEMES if theme.name == paper)
        drawing = render(encoders.draw, points, Ink(theme, ()))
        try:
            write_atomically(svg, drawing.svg)
        except OSError as error:
            raise UsageError(f"--svg {svg}: {error.strerror}", hint="name a file that can be written") from error
        console.note(f"figure {svg}")
