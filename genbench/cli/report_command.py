"""The command `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench import console
from genbench.cli.options import CacheOption, DeviceOption, RegistryOption, ResultsOption, SuitesOption, device
from genbench.errors import UsageError
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.precision import Precision

if TYPE_CHECKING:
    from genbench.store import Store


def report(
    suite: Annotated[str | None, typer.Argument(help="Name of a suite.", show_default=False)] = None,
    *,
    html: Annotated[Path, typer.Option("--html", help="Folder for the pages: new, empty, or with an earlier report.")],
    every: Annotated[bool, typer.Option("--all", help="Every suite that has results.")] = False,
    precision: Annotated[
        Precision, typer.Option("--precision", help="Show what was measured with such features.")
    ] = "exact",
    sampling_seconds: Annotated[
        float,
        typer.Option(
            "--sampling-seconds",
            min=0,
            help="Time a suite for sampling single images again, by the speed that their records tell; 0 for none.",
        ),
    ] = 20.0,
    device_name: DeviceOption = None,
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Write what was measured as web pages that open from disk.

    A sortable leaderboard, samples of the same seeds side by side, figures with their data and SQL, and the images that
    move the Fréchet distance most.
    """
    from genbench.report.html import Settings, write_report
    from genbench.store import Store

    if (suite is not None) == every:
        raise UsageError("give one suite, or --all", hint="genbench report quick --html report")
    registries = data_folders("registry", registry)
    settings = Settings(
        results=results_folder(results),
        cache=cache_folder(cache),
        registry=registries,
        precision=precision,
        sampling_seconds=sampling_seconds,
        device=device(device_name),
    )
    with Store.open(settings.results, registry=registries, suites=data_folders("suites", suites)) as store:
        names = [suite] if suite is not None else _measured(store, precision)
        page = write_report(store, names, html, settings)
    console.note(f"report {page}")


def _measured(store: Store, precision: Precision) -> list[str]:
    """Suites with results under their current digest. Raises `UsageError` when there is none."""
    found = store.query(
        "SELECT DISTINCT suite FROM leaderboard WHERE is_current AND precision = ? ORDER BY suite", [precision]
    )
    if not found.rows:
        raise UsageError(f"{store.file.parent}: no results of any suite", hint="genbench run quick")
    return [suite for (suite,) in found.rows]
