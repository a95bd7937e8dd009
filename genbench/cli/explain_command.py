"""The command `explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genbench.cli.options import BatchOption, CacheOption, DeviceOption, ImagesArgument, device
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption
from genbench.paths import cache_folder
from genbench.report.tables import Format


def explain(
    path: ImagesArgument,
    *,
    reference: Annotated[Path, typer.Option("--reference", help="Images of any of these kinds.")],
    form: FormatOption = Format.TABLE,
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    cache: CacheOption = None,
) -> None:
    """Show the FID of the same images under every convention, and why they differ."""
    from genbench.explain import explain as measure

    rows = measure(path, reference, device=device(device_name), cache=cache_folder(cache), batch_size=batch_size)
    columns = ("space", "tools", "value", "stderr", "difference", "why")
    cells = [(r.convention.space, r.convention.tools, r.value, r.stderr, r.difference, r.convention.why) for r in rows]
    print_rows(columns, cells, form)
