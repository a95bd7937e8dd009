"""Commands that measure: `run` and `score`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench import console
from genbench.cli.options import (
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
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption, leaderboard
from genbench.errors import UsageError
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.records import Record
    from genbench.runner import Outcome


def run(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or path of a suite file.")],
    *,
    models: Annotated[
        list[str] | None,
        typer.Option(
            "-m", "--model", help="Runs, as globs over variant@preset; may be repeated.", show_default="the suite's"
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a preset: key=value; may be repeated.")
    ] = None,
    limit: LimitOption = None,
    block: Annotated[
        list[int] | None,
        typer.Option("--block", min=0, help="Only this seed block, from 0; may be repeated.", show_default="all"),
    ] = None,
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    precision: PrecisionOption = "exact",
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
    keep_images: Annotated[
        Path | None, typer.Option("--keep-images", help="Write every image as PNG below this folder.")
    ] = None,
    shard_size: Annotated[
        int | None,
        typer.Option(
            "--shard-size",
            min=1,
            help="Images that an interruption loses at most; changes no number.",
            show_default="1000",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
) -> int:
    """Sample the suite's models, measure them, and keep the records.

    What is measured already is not measured again: after an interruption the same command continues.
    """
    from genbench import runner
    from genbench.cards import load_cards
    from genbench.methods.runs import parse_overrides, select
    from genbench.protocol import load_protocol
    from genbench.records import check_writable
    from genbench.references import Shelf
    from genbench.suites import find_suite

    registries = data_folders("registry", registry)
    chosen = find_suite(suite, data_folders("suites", suites))
    runs = select(
        load_cards(registries),
        models or chosen.runs,
        parse_overrides(changes or []),
        dataset=chosen.dataset,
        resolution=chosen.resolution,
    )
    settings = runner.Settings(
        results=results_folder(results),
        cache=cache_folder(cache),
        registry=registries,
        device=device(device_name),
        batch_size=batch_size,
        limit=limit,
        blocks=block,
        shard_size=shard_size,
        keep_images=keep_images,
    )
    if not dry_run:
        check_writable(settings.results)
    shelf = Shelf(registries, settings.cache, settings.device, batch_size)
    blocks = runner.blocks(load_protocol(chosen, shelf, precision), runs, settings)
    finished = {b.title: record for b in blocks if (record := b.finished())}
    work = [b for b in blocks if keep_images or b.title not in finished]
    console.note(runner.describe_plan(work, len(blocks) - len(finished), len(finished)))
    if dry_run:
        for b in blocks:
            state = (
                "already measured" if b.title in finished else f"{b.plan.missing} of {b.plan.images} images to sample"
            )
            console.note(f"  {b.title}: {state}")
        return 0
    for title, record in finished.items():
        console.note(f"{title}: already measured, nothing to do\n  record  {record}")
    failed = _report(runner.execute(work))
    limited = limit is not None and limit < chosen.images
    if limited and not failed:
        console.note(f"--limit {limit}: these records enter no leaderboard; `genbench sql` shows them")
    if len(failed) < len(blocks) and not limited:
        print_leaderboard(chosen.id, results, registry, suites)
    return 1 if failed else 0


def _report(outcomes: Iterable[Outcome]) -> list[str]:
    failed = []
    for outcome in outcomes:
        if outcome.error is not None:
            console.error(f"{outcome.name}: {outcome.error}", outcome.error.hint)
            failed.append(outcome.name)
    return failed


def print_leaderboard(suite: str, results: Path | None, registry: Path | None, suites: Path | None) -> None:
    """Bring the store up to date and print the suite's leaderboard."""
    leaderboard(suite, metric=None, form=Format.TABLE, results=results, registry=registry, suites=suites)


def score(
    path: Annotated[Path, typer.Argument(help="Folder, .zip, .tar, .npz, .npy or .parquet of images.")],
    *,
    reference: Annotated[
        str | None,
        typer.Option("--reference", help="Images of any of these kinds, a statistics file, or a packaged name."),
    ] = None,
    held_out: Annotated[
        str | None,
        typer.Option("--held-out", help="Other real images, of the same kinds, for metrics such as FLD and C_T."),
    ] = None,
    originals: Annotated[
        Path | None,
        typer.Option(
            "--originals", help="What the images are reconstructions of, in their order and under their names."
        ),
    ] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            "--prompts",
            help="What the images were made from, for CLIP score: a .txt in their order, a .csv or .jsonl of file_name "
            'and prompt, or "a photo of a {class}" for class folders.',
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option("--suite", help="Measure as this suite does; brings its reference.")
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            help="Names with commas between.",
            show_default="fid,kid,precision,recall; with --originals psnr,ssim,lpips,rfid",
        ),
    ] = None,
    form: FormatOption = Format.TABLE,
    limit: LimitOption = None,
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    precision: PrecisionOption = "exact",
    workers: Annotated[int | None, typer.Option("--workers", min=1, help="Threads that decode.")] = None,
    record: Annotated[bool, typer.Option("--record/--no-record", help="Keep the result as a record.")] = True,
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Measure images that exist already: against a reference, as a suite does, or against their originals."""
    from genbench.evaluation import parse_metrics
    from genbench.protocol import load_protocol
    from genbench.records import check_writable, write_record
    from genbench.references import Shelf
    from genbench.score import Settings, score_reconstructions, score_suite
    from genbench.score import score as measure
    from genbench.suites import find_suite

    sides = [reference, suite, originals]
    if sides.count(None) != 2 and (prompts is None or any(sides)):
        raise UsageError(
            "give one of --reference, --suite and --originals",
            hint=f"genbench score {path} --reference FOLDER, or --suite with a name of `genbench list suites`",
        )
    if originals is not None and held_out is not None:
        raise UsageError(
            "--held-out and --originals exclude each other",
            hint="score the images against a --reference for metrics of held-out images",
        )
    if prompts is not None and (suite is not None or originals is not None):
        raise UsageError(
            "--prompts goes with --reference or alone", hint="score the images once more with --metrics clip-score"
        )
    registries = data_folders("registry", registry)
    settings = Settings(
        cache=cache_folder(cache),
        registry=registries,
        device=device(device_name),
        batch_size=batch_size,
        workers=workers,
        limit=limit,
    )
    folder = results_folder(results)
    if record:
        check_writable(folder)
    if suite is not None:
        if metrics is not None:
            raise UsageError("--metrics and --suite exclude each other", hint="a suite names its own metrics")
        if held_out is not None:
            raise UsageError("--held-out and --suite exclude each other", hint="a suite names its own held-out images")
        chosen = find_suite(suite, data_folders("suites", suites))
        shelf = Shelf(registries, settings.cache, settings.device, batch_size)
        made = score_suite(path, load_protocol(chosen, shelf, precision), settings)
    elif originals is not None:
        if precision != "exact":
            raise UsageError("--precision and --originals exclude each other", hint="leave --precision out")
        made = score_reconstructions(
            path, originals, parse_metrics(_names(metrics or "psnr,ssim,lpips,rfid"), originals=True), settings
        )
    else:
        usual = "fid,kid,precision,recall" if reference is not None else "clip-score"
        questions = parse_metrics(_names(metrics or usual), precision)
        made = measure(path, reference, questions, settings, held_out=held_out, prompts=prompts)
    _print_score(made, form)
    if record:
        console.note(f"record {write_record(made, folder)}")


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _print_score(record: Record, form: Format) -> None:
    from genbench.metrics.catalog import parse

    measured = record.measurements
    further = [
        name for name in ("spread", "deviation", "deviation_n") if any(getattr(m, name) is not None for m in measured)
    ]
    columns = ("value", "stderr", "n", "n_reference", *further)
    rows = [(parse(m.metric).name, m.space, *(getattr(m, column) for column in columns)) for m in measured]
    print_rows(("metric", "space", *columns), rows, form)
