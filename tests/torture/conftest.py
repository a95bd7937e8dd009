"""A tiny world for accidents, and processes that they happen to."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import PIPE
from typing import Any, NamedTuple

import duckdb
import pytest

from genbench.records import Record
from tests.pipeline.conftest import Answer, World, call, make_world

COMMAND = ("run", "tiny", "-m", "tiny@sde2", "--shard-size", "8")
"""24 images in three shards, of which four metrics are taken."""


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 300  # a busy machine is no failure
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.001)


def chosen(steps: Sequence[int], count: int) -> list[int]:
    """So many of the steps, evenly spread, the first and the last among them."""
    return [steps[i] for i in sorted({round(i * (len(steps) - 1) / (count - 1)) for i in range(count)})]


class Child:
    """A command that is being carried out by a process of its own."""

    def __init__(self, server: Forks, pid: int, out: Path, err: Path, log: Path) -> None:
        self.pid, self.log = pid, log
        self._server, self._out, self._err = server, out, err

    def wait(self) -> Answer:
        """What it did, once it has ended; a signal that ended it is a negative exit code."""
        return Answer(self._server.ask(self.pid), self._out.read_text(), self._err.read_text())

    def await_phase(self, name: str) -> None:
        """Return once it is in that phase for the first time; one that ended before is a failure, and tells why."""
        wait_until(lambda: self.was_in(name) or self._log_lines()[-1:] == ["0 end"])
        assert self.was_in(name), self._err.read_text()

    def was_in(self, name: str) -> bool:
        """Whether that phase began."""
        return any(event.name == name for event in self.events("phase"))

    def events(self, kind: str) -> list[Event]:
        """Phases or steps so far; a killed process may leave half a line."""
        lines = [line.split(" ", 2) for line in self._log_lines()]
        return [Event(float(seconds), *name) for seconds, found, *name in lines if found == kind]

    def _log_lines(self) -> list[str]:
        return self.log.read_text().split("\n")[:-1]


class Event(NamedTuple):
    """Something that a watched process did."""

    seconds: float
    """Since it began."""
    name: str


class Forks:
    """Processes that have everything loaded when they begin; see `forkserver`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._numbers = folder, itertools.count()
        script = Path(__file__).with_name("forkserver.py")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        warm = make_world(folder / "warm").arguments(*COMMAND)
        self._process = subprocess.Popen(
            [sys.executable, str(script), *warm], stdin=PIPE, stdout=PIPE, text=True, env=environment
        )
        assert self._read() == 0, "the command fails undisturbed"

    def start(self, arguments: list[str], **fate: Any) -> Child:
        """Begin `genbench ARGUMENTS`; `fate` is what `forkserver.Task` takes."""
        number = next(self._numbers)
        out, err, log = (self._folder / f"{number}.{kind}" for kind in ("out", "err", "log"))
        task = {"arguments": arguments, "out": str(out), "err": str(err), "log": str(log), **fate}
        log.touch()
        return Child(self, self.ask(task), out, err, log)

    def run(self, world: World, *command: str, **fate: Any) -> Answer:
        """Carry a command out in a world."""
        return self.start(world.arguments(*command), **fate).wait()

    def ask(self, question: Any) -> int:
        """Send a line and read the number that answers it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Let the server end."""
        self._process.communicate(timeout=60)

    def _read(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    server = Forks(tmp_path_factory.mktemp("forks"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def kills(request: pytest.FixtureRequest) -> int:
    """How often a run is killed, of each kind."""
    return int(request.config.getoption("--torture-kills"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which nothing was measured yet."""
    return make_world(tmp_path / "world")


class Undisturbed(NamedTuple):
    """What `COMMAND` does when nothing happens to it."""

    world: World
    child: Child
    kept: Kept


@pytest.fixture(scope="session")
def undisturbed(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    world = make_world(tmp_path_factory.mktemp("undisturbed"))
    child = forks.start(world.arguments(*COMMAND))
    child.wait().ok()
    return Undisturbed(world, child, kept(world))


class Kept(NamedTuple):
    """What must not depend on accidents."""

    shards: dict[str, bytes]
    """By place below the cache."""
    numbers: list[dict[str, Any]]
    """Of each record: all that was measured."""
    leaderboard: list[tuple[Any, ...]]
    """Of the store as it stands, not brought up to date."""


def kept(world: World) -> Kept:
    return Kept(
        {str(path.relative_to(world.cache)): path.read_bytes() for path in world.shards()},
        [numbers(record) for record in world.records()],
        leaderboard(world),
    )


def numbers(record: Record) -> dict[str, Any]:
    """What a record says that nothing but the run and the suite decides."""
    facts = record.model_dump()
    fields = ("suite", "run", "block", "images", "reference", "spaces", "measurements", "contributions", "parts")
    return {field: facts[field] for field in (*fields, "influence")}


def leaderboard(world: World) -> list[tuple[Any, ...]]:
    query = "SELECT run, metric, value, stderr, n, rank, n_blocks FROM leaderboard ORDER BY ALL"
    with duckdb.connect(str(world.results / "genbench.duckdb"), read_only=True) as connection:
        return connection.execute(query).fetchall()


def litter(world: World) -> list[Path]:
    """What interrupted writes left anywhere."""
    return [path for path in world.root.rglob("*") if path.name.endswith(".tmp") or path.name.startswith(".")]


def prune(world: World) -> None:
    call("cache", "prune", "--cache", world.cache, "--results", world.results).ok()


def resumes(forks: Forks, world: World, undisturbed: Undisturbed) -> None:
    """`COMMAND` once more, then `genbench cache prune`: all is as if nothing had happened."""
    sound = {path: path.stat().st_mtime_ns for path in world.shards()}
    forks.run(world, *COMMAND).ok()
    assert sound.items() <= {path: path.stat().st_mtime_ns for path in world.shards()}.items(), "a shard was made again"
    assert kept(world) == undisturbed.kept
    prune(world)
    assert litter(world) == []
    assert kept(world) == undisturbed.kept, "pruning removes nothing that counts"
