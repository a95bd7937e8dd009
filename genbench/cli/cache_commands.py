"""Commands that look after the feature cache: `cache ls`, `cache verify`, `cache prune`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from genbench import console
from genbench.cli.options import CacheOption, ResultsOption
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption
from genbench.paths import cache_folder, results_folder
from genbench.report.tables import Format

cache_app = typer.Typer(help="Look after the cache of features.", no_args_is_help=True)


@cache_app.command("ls")
def ls(*, form: FormatOption = Format.TABLE, cache: CacheOption = None) -> None:
    """List what the cache holds: a row for each set of images."""
    from genbench.shards import ShardCache

    rows = [
        (
            entry.about,
            entry.folder.name,
            entry.shards,
            ", ".join(entry.spaces),
            entry.size,
            datetime.fromtimestamp(entry.used, UTC).replace(microsecond=0),
        )
        for entry in ShardCache(cache_folder(cache)).entries()
    ]
    print_rows(("images", "digest", "shards", "spaces", "bytes", "changed"), rows, form)


@cache_app.command()
def verify(*, cache: CacheOption = None) -> int:
    """Check every shard against its digest. Damaged ones are named; exit code 1 if there are any."""
    from genbench.shards import ShardCache

    damaged = list(ShardCache(cache_folder(cache)).damaged())
    for path in damaged:
        typer.echo(str(path))
    console.note(f"{len(damaged)} damaged shards" + (": `genbench cache prune` removes them" if damaged else ""))
    return 1 if damaged else 0


@cache_app.command()
def prune(
    *,
    older_than: Annotated[
        float | None, typer.Option("--older-than", min=0, help="Also remove images not touched for so many days.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Remove all features; weights stay.")] = False,
    cache: CacheOption = None,
    results: ResultsOption = None,
) -> None:
    """Remove damaged shards, and what killed processes left in the cache and among the results.

    With an option, old or all features too. Files that a process is still writing stay.
    """
    from genbench.files import leftovers
    from genbench.shards import ShardCache

    folder = cache_folder(cache)
    shards = ShardCache(folder)
    removed = [*leftovers(folder), *leftovers(results_folder(results)), *shards.damaged()]
    for path in removed:
        path.unlink(missing_ok=True)
    limit = None if older_than is None else time.time() - older_than * 86_400
    entries = [entry for entry in shards.entries() if everything or (limit is not None and entry.used <= limit)]
    for entry in entries:
        shards.remove(entry)
    freed = sum(entry.size for entry in entries) / 1e6
    console.note(
        f"removed {len(removed)} damaged or temporary files and {len(entries)} sets of images ({freed:.1f} MB)"
    )
