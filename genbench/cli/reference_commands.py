"""Commands that make reference statistics: `reference build` and `reference import`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench import console
from genbench.cli.options import BatchOption, CacheOption, DeviceOption, ImagesArgument, SuitesOption, device
from genbench.cli.output import print_rows
from genbench.errors import UsageError
from genbench.paths import cache_folder, data_folders
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.metrics.reference import Reference

reference_app = typer.Typer(help="Make reference statistics.", no_args_is_help=True)

NameOption = Annotated[str, typer.Option("--name", help="What suites call the reference.")]
OutOption = Annotated[Path, typer.Option("--out", help="Registry folder to put it in.")]


@reference_app.command()
def build(
    images: ImagesArgument,
    *,
    suite: Annotated[str | None, typer.Option("--suite", help="Make what this suite needs, under its name.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="What suites call the reference.")] = None,
    space: Annotated[list[str] | None, typer.Option("--space", help="A feature space; may be repeated.")] = None,
    keep: Annotated[
        int, typer.Option("--keep", min=0, help="Images whose features are kept, for metrics that compare pairs.")
    ] = 10_000,
    out: OutOption = Path("registry"),
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    cache: CacheOption = None,
    suites: SuitesOption = None,
) -> None:
    """Make the statistics of a set of images: for a suite, or by name and feature spaces."""
    from genbench.evaluation import Extraction, parse_metrics
    from genbench.features import spaces as known
    from genbench.images.sources import open_source
    from genbench.references import check_resolution, from_images
    from genbench.shards import ShardCache
    from genbench.suites import find_suite

    if (suite is None) == (name is None) or (suite is None) != bool(space):
        raise UsageError(
            "give either --suite, or --name with at least one --space",
            hint="for example --suite imagenet256-50k, or --name my-set --space inception-tf",
        )
    chosen = find_suite(suite, data_folders("suites", suites)) if suite else None
    reference = chosen.reference if chosen else name
    if reference is None:
        raise UsageError(f"suite {suite} names no reference", hint="give --name, and a --space for each feature space")
    wanted = list(parse_metrics(chosen.metrics).compared.values()) if chosen else [known.get(s) for s in space or ()]
    source = open_source(images)
    if chosen:
        check_resolution(source, chosen.resolution)
    extraction = Extraction(wanted, device=device(device_name), cache=cache_folder(cache))
    made = from_images(source, extraction, ShardCache(cache_folder(cache)), batch_size=batch_size, keep=keep)
    _save(made.by_space, reference, out)


@reference_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="An .npz of published statistics.")],
    *,
    form: Annotated[str, typer.Option("--format", help="adm, edm, torch-fidelity, pytorch-fid or clean-fid.")],
    n: Annotated[int, typer.Option("--n", min=2, help="Images behind the statistics; the file does not say.")],
    name: NameOption,
    out: OutOption = Path("registry"),
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    cache: CacheOption = None,
) -> None:
    """Take over statistics that another tool published; of an adm file, the features of its images too."""
    from genbench.references import from_published

    made = from_published(file, form, n, device=device(device_name), cache=cache_folder(cache), batch_size=batch_size)
    _save(made, name, out)


def _save(references: Mapping[str, Reference], name: str, out: Path) -> None:
    from genbench.references import reference_file

    rows = []
    for space, reference in references.items():
        path = out / reference_file(name, space)
        reference.save(path)
        rows.append((space, reference.n, reference.n_features, str(path)))
    print_rows(("space", "n", "n_features", "file"), rows, Format.TABLE)
    console.note(f"reference {name!r} is found from here, or with --registry {out}")
