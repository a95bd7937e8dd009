"""The command `reconstruct`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genbench import console
from genbench.cli.leaderboard_command import leaderboard
from genbench.cli.options import (
    BatchOption,
    CacheOption,
    DeviceOption,
    LimitOption,
    PrecisionOption,
    RegistryOption,
    ResultsOption,
    SuitesOption,
    WorkersOption,
    device,
)
from genbench.errors import GenbenchError
from genbench.paths import cache_folder, data_folders, results_folder

SuiteArgument = Annotated[str, typer.Argument(help="Name of a suite of reconstructions, or path of a suite file.")]
OriginalsArgument = Annotated[
    Path, typer.Argument(help="Real images: a folder, .zip, .tar, .npz, .npy or .parquet; ImageNet's validation split.")
]
DecodersOption = Annotated[
    list[str] | None,
    typer.Option("-m", "--model", help="Autoencoders, as globs; may be repeated.", show_default="the suite's"),
]


def reconstruct(
    suite: SuiteArgument,
    originals: OriginalsArgument,
    *,
    models: DecodersOption = None,
    limit: LimitOption = None,
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    workers: WorkersOption = None,
    precision: PrecisionOption = "exact",
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> int:
    """Encode and decode real images by a suite's autoencoders, and measure what comes back against the originals.

    What is measured already is not measured again: after an interruption the same command continues.
    """
    from genbench import reconstruct as work
    from genbench.records import check_writable, write_record
    from genbench.score import Settings
    from genbench.suites import find_reconstruction_suite

    registries = data_folders("registry", registry)
    chosen = find_reconstruction_suite(suite, data_folders("suites", suites))
    protocol = work.load_protocol(chosen, precision)
    cards = work.select(models or chosen.runs, registries)
    settings = Settings(
        cache_folder(cache), registries, device(device_name), batch_size=batch_size, workers=workers, limit=limit
    )
    target = results_folder(results)
    check_writable(target)
    failed = 0
    for card in cards:
        try:
            record, earlier = work.measured(protocol, card, originals, settings, target)
        except GenbenchError as error:
            if len(cards) == 1:
                raise
            console.error(f"{card.id}: {error}", error.hint)
            failed += 1
            continue
        if earlier:
            console.note(f"{card.id}: already measured, nothing to do\n  record  {earlier}")
        else:
            console.note(f"  record  {write_record(record, target)}")
    if failed < len(cards) and (limit is None or limit >= chosen.images):
        leaderboard([chosen.id], precision=precision, results=results, cache=cache, registry=registry, suites=suites)
    return 1 if failed else 0
