"""No space, no right to write: the command says so and ends, what was finished is kept, and later it continues."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipeline.conftest import World, make_world
from tests.torture.conftest import COMMAND, Forks, Undisturbed, chosen, resumes

KIB = 1024


def test_no_space_for_another_file_at_any_step(
    forks: Forks, undisturbed: Undisturbed, tmp_path: Path, kills: int
) -> None:
    growing = [i for i, event in enumerate(undisturbed.child.events("step")) if event.name in {"open", "os.mkdir"}]
    for step in chosen(growing, kills):
        world = make_world(tmp_path / str(step))
        error, _ = forks.run(world, *COMMAND, full_at=step).problem(2)
        assert "No space left on device" in error
        resumes(forks, world, undisturbed)


@pytest.mark.parametrize(
    ("largest", "what"),
    [(2_000, "the cache cannot be written"), (20_000, "the cache cannot be written"), (1_000_000, "cannot be built")],
    ids=["shards", "later-shards", "store"],
)
def test_a_quota_on_files(forks: Forks, undisturbed: Undisturbed, world: World, largest: int, what: str) -> None:
    error, hint = forks.run(world, *COMMAND, largest_file=largest).problem(2)
    assert what in error
    assert "File too large" in error
    assert "free some space" in hint
    resumes(forks, world, undisturbed)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something at a folder, or skip the test where that is not allowed."""
    program = shutil.which("mount")
    done = program and subprocess.run([program, *options, str(folder)], stderr=subprocess.PIPE, text=True, check=False)
    if not done or done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip() if done else 'no program mount'}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", "size=16m", "tmpfs"):
        yield folder


def test_a_disk_that_is_full_again_and_again(forks: Forks, undisturbed: Undisturbed, disk: Path) -> None:
    world = make_world(disk / "world")
    filler = disk / "filler"
    for free in (8 * KIB, 64 * KIB, 160 * KIB, 1024 * KIB):
        filler.unlink(missing_ok=True)
        filler.write_bytes(bytes(shutil.disk_usage(disk).free - free))
        error, hint = forks.run(world, *COMMAND).problem(2)
        assert "No space left on device" in error
        assert "space" in hint
    filler.unlink()
    assert world.shards(), "what was finished is kept"
    resumes(forks, world, undisturbed)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write there: by its mode, or for root, who may do anything, as a mount."""
    if os.geteuid() == 0:
        with mounted(folder, "-o", "bind,ro", str(folder)):
            yield
    else:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)


def test_results_that_cannot_be_written_can_be_read(forks: Forks, world: World) -> None:
    forks.run(world, *COMMAND).ok()
    before = world.state()
    board = forks.run(world, "leaderboard", "tiny", "--format", "csv").ok().out
    with read_only(world.results):
        assert forks.run(world, "leaderboard", "tiny", "--format", "csv").ok().out == board
        error, hint = forks.run(world, "run", "tiny").problem(2)
        assert f"{world.results}: results cannot be written" in error
        assert "--results" in hint
    assert world.state() == before, "nothing was sampled that could not be kept"


def test_results_that_cannot_be_written_and_have_no_store(forks: Forks, world: World) -> None:
    forks.run(world, *COMMAND).ok()
    (world.results / "genbench.duckdb").unlink()
    with read_only(world.results):
        error, hint = forks.run(world, "leaderboard", "tiny").problem(2)
        assert f"{world.results}: the store cannot be written" in error
        assert "--results" in hint
    forks.run(world, "leaderboard", "tiny").ok()
