"""The command that measures spatial structure: `spatial`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench import console
from genbench.cli.options import (
    BatchOption,
    CacheOption,
    DeviceOption,
    ImagesArgument,
    LimitOption,
    WorkersOption,
    device,
)
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption
from genbench.errors import UsageError
from genbench.paths import cache_folder
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.spatial_scores import SpatialValue


class Preset(StrEnum):
    """Whose distances count as near and far."""

    CODE = "code"
    PAPER = "paper"


EncoderArgument = Annotated[str, typer.Argument(help="A space of tokens, e.g. effnet-lite0/tokens.")]
MasksOption = Annotated[
    Path | None,
    typer.Option(
        "--masks", help="Object masks of the images, in their order and of their sizes, for SRSS; bright is object."
    ),
]
ReferenceOption = Annotated[
    Path | None, typer.Option("--reference", help="Other images: adds the distances SSW, CFD and LSD to them.")
]
PresetOption = Annotated[
    Preset, typer.Option("--preset", help="Ranges of the authors' script, or those that their paper tells.")
]
MirroredOption = Annotated[bool, typer.Option("--mirrored", help="LSD: average each layout with its mirror image.")]
CorrelogramOption = Annotated[
    bool, typer.Option("--correlogram", help="Print the mean cosine of tokens by their distance instead.")
]


def spatial(
    encoder: EncoderArgument,
    images: ImagesArgument,
    *,
    masks: MasksOption = None,
    reference: ReferenceOption = None,
    preset: PresetOption = Preset.CODE,
    mirrored: MirroredOption = False,
    correlogram: CorrelogramOption = False,
    form: FormatOption = Format.TABLE,
    limit: LimitOption = None,
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    workers: WorkersOption = None,
    cache: CacheOption = None,
) -> None:
    """Measure the spatial structure of an encoder's tokens: LDS, CDS, SRSS and RMSC.

    They tell encoders apart on the same images. To tell images apart give --reference: a higher LDS is no better image.

    With --masks, --preset code takes all four of the images alone whose object and background have a quarter of the
    tokens each, as the authors' script does; --preset paper takes SRSS of each image that has one. Distances to a
    reference are of all images.
    """
    from genbench import spatial_scores

    if correlogram and (masks or reference):
        raise UsageError(
            "--correlogram takes neither --masks nor --reference",
            hint="run it once for each set of images, and without it for the distances",
        )
    settings = spatial_scores.Settings(
        cache=cache_folder(cache),
        device=device(device_name),
        batch_size=batch_size,
        workers=workers,
        limit=limit,
        preset=preset.value,
        mirrored=mirrored,
    )
    space = spatial_scores.token_space(encoder)
    others = None
    if reference is not None:
        others = spatial_scores.describe(space, reference, replace(settings, limit=None))
    described = spatial_scores.describe(space, images, settings, masks=masks)
    if correlogram:
        print_rows(spatial_scores.Lag._fields, spatial_scores.correlogram(described), form)
        return
    rows = spatial_scores.structure(described)
    if others is not None:
        rows += spatial_scores.distances(described, others)
    if masks is None:
        console.note("srss has no value without --masks")
    _print(rows, space.name, preset, form, against=others is not None)


def _print(rows: Sequence[SpatialValue], space: str, preset: Preset, form: Format, *, against: bool) -> None:
    columns = ("metric", "space", "preset", "value", "stderr", "n", "n_reference", "floor")
    width = len(columns) if against else columns.index("n_reference")
    cells = [(row.metric, space, preset.value, *row[1:])[:width] for row in rows]
    print_rows(columns[:width], cells, form)
