"""A clock that was set back: what is there still counts, and what cannot be ordered is said."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

from genbench.records import Record, read_record, record_files, write_record
from tests.pipeline.conftest import World
from tests.torture.conftest import COMMAND, Forks, leaderboard

DAY = timedelta(days=1)


def move_to_tomorrow(world: World) -> Record:
    """Let everything have been made while the clock was a day ahead."""
    (path,) = record_files(world.results)
    record = read_record(path)
    created = record.created + DAY
    path.unlink()
    path.with_suffix(".png").unlink()
    moved = record.model_copy(update={"created": created, "id": f"{created:%Y%m%dT%H%M%SZ}{record.id[16:]}"})
    write_record(moved, world.results)
    for file in (*world.results.rglob("*.*"), *world.cache.rglob("*.*")):
        os.utime(file, (time.time() + DAY.total_seconds(),) * 2)
    return moved


def change_preset(card: Path) -> None:
    """The run of the same name is another one now."""
    text = card.read_text()
    changed = text.replace('sde2 = { mode = "sde", steps = 2 }', 'sde2 = { mode = "sde", steps = 3 }')
    assert changed != text
    card.write_text(changed)


def test_what_was_made_tomorrow_counts_and_is_told_to_stand_before_what_is_made_now(forks: Forks, world: World) -> None:
    forks.run(world, *COMMAND).ok()
    board = leaderboard(world)
    moved = move_to_tomorrow(world)
    again = forks.run(world, *COMMAND).ok()
    assert f"already measured, nothing to do\n  record  {world.results / moved.folder / moved.id}.json" in again.err
    assert leaderboard(world) == board

    change_preset(world.registry / "tiny.toml")
    changed = forks.run(world, *COMMAND).ok()
    assert f"warning: {world.results / moved.folder / moved.id}.json: made later than now" in changed.err
    assert len(world.records()) == 2
    assert leaderboard(world) == board, "the later one by its date stands"
