"""The command `check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench.cli.options import CacheOption, ConfidenceOption, RegistryOption, ResultsOption, SuitesOption
from genbench.cli.output import print_text
from genbench.cli.store_commands import FormatOption
from genbench.comparisons.significance import CONFIDENCE
from genbench.errors import UsageError
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.precision import Precision
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.suites import Gate


def check(
    suite: Annotated[str, typer.Argument(help="Name of a suite.")],
    *,
    baseline: Annotated[
        str, typer.Option("--baseline", help="Folder of records, Parquet file of records, or git revision.")
    ],
    gate: Annotated[
        list[str] | None,
        typer.Option("--gate", help="METRIC=FACTOR, such as fid=1.05; may be repeated.", show_default="the suite's"),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail also what nothing can be said of.")] = False,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Check what was measured with such features.")
    ] = "exact",
    confidence: ConfidenceOption = CONFIDENCE,
    summary: Annotated[Path | None, typer.Option("--summary", help="Append the answer to this Markdown file.")] = None,
    junit: Annotated[Path | None, typer.Option("--junit", help="Write the answer as JUnit XML.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the answer as JSON.")] = None,
    form: FormatOption = Format.TABLE,
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> int:
    """Hold results against a baseline; exits with 1 when a run is worse by more than a gate allows, for certain.

    A git revision stands for its copy of the results folder.
    """
    from genbench.comparisons.check import check as hold
    from genbench.report import gates as report
    from genbench.suites import find_suite

    folders = data_folders("suites", suites)
    answer = hold(
        find_suite(suite, folders),
        baseline,
        results=results_folder(results),
        registry=data_folders("registry", registry),
        suites=folders,
        gates=[_gate(text) for text in gate or ()],
        strict=strict,
        precision=precision,
        cache=cache_folder(cache),
        confidence=confidence,
    )
    print_text(report.text(answer), report.rows(answer), form)
    _write(summary, "a", report.summary(answer))
    _write(junit, "w", report.junit(answer))
    _write(json_file, "w", report.as_json(answer))
    return 1 if answer.failed else 0


def _gate(text: str) -> Gate:
    """``METRIC=FACTOR`` as a gate."""
    from genbench.schema import check as validate
    from genbench.suites import Gate

    metric, equals, factor = text.partition("=")
    if not equals:
        raise UsageError(f"--gate {text!r} is not METRIC=FACTOR", hint="for example --gate fid=1.05")
    return validate(Gate, {"metric": metric, "factor": factor}, f"--gate {text}")


def _write(file: Path | None, mode: str, text: str) -> None:
    if file is None:
        return
    try:
        with file.open(mode, encoding="utf-8", newline="\n") as out:
            out.write(text)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written ({error.strerror})", hint="name another file") from error
