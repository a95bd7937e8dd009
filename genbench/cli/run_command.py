"""The command `run`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench import console
from genbench.cli.leaderboard_command import leaderboard
from genbench.cli.options import (
    AllowPickleOption,
    BatchOption,
    CacheOption,
    DeviceOption,
    LimitOption,
    PrecisionOption,
    RegistryOption,
    ResultsOption,
    SuitesOption,
    device,
)
from genbench.engine import EngineName
from genbench.paths import cache_folder, data_folders, results_folder

if TYPE_CHECKING:
    from genbench.engine.engines import Engine
    from genbench.methods.runs import Run
    from genbench.runner import Block, Outcome, Settings
    from genbench.suites import Suite

SuiteArgument = Annotated[str, typer.Argument(help="Name of a suite, or path of a suite file.")]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "-m", "--model", help="Runs, as globs over variant@preset; may be repeated.", show_default="the suite's"
    ),
]
ChangesOption = Annotated[list[str] | None, typer.Option("--set", help="Change a preset: key=value; may be repeated.")]
BlockOption = Annotated[
    list[int] | None,
    typer.Option("--block", min=0, help="Only this seed block, from 0; may be repeated.", show_default="all"),
]
KeepImagesOption = Annotated[
    Path | None, typer.Option("--keep-images", help="Write every image as PNG below this folder.")
]
ShardSizeOption = Annotated[
    int | None,
    typer.Option(
        "--shard-size", min=1, help="Images that an interruption loses at most; changes no number.", show_default="1000"
    ),
]
EngineOption = Annotated[
    EngineName | None,
    typer.Option(
        "--engine",
        help="Where images are sampled: in this process, in the ranks of torchrun, or on a Ray cluster; changes no "
        "number.",
        show_default="torchrun where it started this process, else local",
    ),
]
AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address", help="Of the Ray cluster.", show_default="the one that runs here, else a new one of this machine"
    ),
]


def run(
    suite: SuiteArgument,
    *,
    models: ModelsOption = None,
    changes: ChangesOption = None,
    limit: LimitOption = None,
    block: BlockOption = None,
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    precision: PrecisionOption = "exact",
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
    keep_images: KeepImagesOption = None,
    shard_size: ShardSizeOption = None,
    allow_pickle: AllowPickleOption = False,
    engine_name: EngineOption = None,
    address: AddressOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop; references are fetched.")] = False,
) -> int:
    """Sample the suite's models, measure them, and keep the records.

    What is measured already is not measured again: after an interruption the same command continues.
    """
    from genbench import runner
    from genbench.engine.engines import open_engine
    from genbench.protocol import load_protocol
    from genbench.records import check_writable
    from genbench.references import Shelf
    from genbench.suites import find_suite

    with open_engine(engine_name, address) as engine:
        if engine.assist():
            return 0
        registries = data_folders("registry", registry)
        chosen = find_suite(suite, data_folders("suites", suites))
        runs = _runs(chosen, models, changes or [], registries)
        settings = runner.Settings(
            results=results_folder(results),
            cache=cache_folder(cache),
            registry=registries,
            device=engine.device(device(device_name)),
            batch_size=batch_size,
            limit=limit,
            blocks=block,
            shard_size=shard_size,
            keep_images=keep_images,
            allow_pickle=allow_pickle,
        )
        if not dry_run:
            check_writable(settings.results)
        shelf = Shelf(registries, settings.cache, settings.device, batch_size)
        blocks = runner.blocks(load_protocol(chosen, shelf, precision), runs, settings)
        failed = _carry_out(blocks, settings, engine, dry_run=dry_run)
    if dry_run:
        return 0
    limited = limit is not None and limit < chosen.images
    if limited and not failed:
        console.note(f"--limit {limit}: these records enter no leaderboard; `genbench sql` shows them")
    if len(failed) < len(blocks) and not limited:
        leaderboard([chosen.id], precision=precision, results=results, cache=cache, registry=registry, suites=suites)
    return 1 if failed else 0


def _runs(suite: Suite, models: list[str] | None, changes: list[str], registries: Sequence[Path]) -> list[Run]:
    from genbench.cards import load_cards
    from genbench.methods.runs import parse_overrides, select

    overrides = parse_overrides(changes)
    cards = load_cards(registries)
    return select(cards, models or suite.runs, overrides, dataset=suite.dataset, resolution=suite.resolution)


def _carry_out(blocks: Sequence[Block], settings: Settings, engine: Engine, *, dry_run: bool) -> list[str]:
    """Say what there is to do, and do it unless it is a dry run; returns the names of runs that failed."""
    from genbench import runner

    finished = {b.title: record for b in blocks if (record := b.finished())}
    work = [b for b in blocks if settings.keep_images or b.title not in finished]
    console.note(runner.describe_plan(work, len(blocks) - len(finished), len(finished)))
    if dry_run:
        for b in blocks:
            missing = f"{b.plan.missing} of {b.plan.images} images to sample"
            console.note(f"  {b.title}: {'already measured' if b.title in finished else missing}")
        return []
    for title, record in finished.items():
        console.note(f"{title}: already measured, nothing to do\n  record  {record}")
    return _report(runner.execute(work, engine))


def _report(outcomes: Iterable[Outcome]) -> list[str]:
    failed = []
    for outcome in outcomes:
        if outcome.error is not None:
            console.error(f"{outcome.name}: {outcome.error}", outcome.error.hint)
            failed.append(outcome.name)
    return failed
