"""Eight processes run and read one folder of results: no record is lost, and the last one leaves nothing stale."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from genbench.records import Record
from tests.pipeline.conftest import Answer, World, call, make_world
from tests.torture.conftest import Child, Forks, leaderboard, litter, numbers, prune, wait_until

TWICE = ("run", "tiny", "-m", "tiny@sde2")
RUNS = (
    ("run", "tiny", "-m", "tiny@ode2"),
    ("run", "tiny", "-m", "tiny@ode3-cfg2"),
    TWICE,
    TWICE,
    ("run", "blocks", "--block", "0", "-m", "tiny@sde2"),
    ("run", "blocks", "--block", "1", "-m", "tiny@sde2"),
)
ROUNDS = 6
"""How often two more look while the runs go on."""

Alone = dict[tuple[str, str, int], dict[str, Any]]
"""What one process after the other measures, by suite, run and block."""

Accident = Callable[[Path], object]


def cut(store: Path) -> None:
    os.truncate(store, store.stat().st_size // 2)


def age(store: Path) -> None:
    """Another version of genbench wrote it; unless somebody has it open."""
    try:
        with duckdb.connect(str(store)) as connection:
            connection.execute("UPDATE store_info SET schema_version = 0")
    except duckdb.Error:
        return


ACCIDENTS: tuple[Accident, ...] = (Path.unlink, cut, age)


@pytest.fixture(scope="module")
def alone(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    world = make_world(tmp_path_factory.mktemp("alone"))
    for command in dict.fromkeys(RUNS):
        forks.run(world, *command).ok()
    return {name(record): numbers(record) for record in world.records()}


def name(record: Record) -> tuple[str, str, int]:
    assert record.suite is not None
    assert record.run is not None
    return record.suite.id, record.run.name, record.block


def announced(answers: list[Answer]) -> set[Path]:
    """The records that commands said they wrote, or found."""
    return {Path(path) for answer in answers for path in re.findall(r"^  record +(.+)$", answer.err, re.MULTILINE)}


def nothing_is_lost(world: World, answers: list[Answer], alone: Alone) -> None:
    paths = {world.results / record.folder / f"{record.id}.json" for record in world.records()}
    assert announced(answers) == paths
    assert {name(record) for record in world.records()} == alone.keys()
    for record in world.records():
        assert numbers(record) == alone[name(record)]


def nothing_is_stale(world: World) -> None:
    as_left = leaderboard(world)
    folders = (f"--{kind}={world.root / kind}" for kind in ("results", "registry", "suites"))
    call("store", "rebuild", *folders).ok()
    assert leaderboard(world) == as_left
    assert {row[0] for row in as_left} == {record.run.name for record in world.records() if record.run}


def read(forks: Forks, world: World) -> list[Child]:
    """Two that look, begun at once."""
    board = forks.start(world.arguments("leaderboard", "tiny"))
    query = "SELECT run, count(*) FROM runs JOIN measurements USING (record_id) GROUP BY ALL"
    folders = ("--results", world.results, "--registry", world.registry, "--suites", world.suites)
    return [board, forks.start(["sql", query, *map(str, folders)])]


def first_record(world: World) -> bool:
    return any(world.results.glob("tiny/*/*.json"))


def test_eight_processes_in_one_folder(forks: Forks, world: World, alone: Alone) -> None:
    runs = [forks.start(world.arguments(*command)) for command in RUNS]
    wait_until(lambda: first_record(world))
    for _ in range(ROUNDS):
        for reader in read(forks, world):
            reader.wait().ok()
    nothing_is_lost(world, [run.wait().ok() for run in runs], alone)
    nothing_is_stale(world)


def test_a_process_that_is_killed_among_others_is_missed_by_none(forks: Forks, world: World, alone: Alone) -> None:
    """Two make the same shards at once; the one that is killed leaves the other its work."""
    runs = [forks.start(world.arguments(*command)) for command in RUNS]
    victim = runs.pop(RUNS.index(TWICE))
    victim.await_phase("extraction")
    os.kill(victim.pid, signal.SIGKILL)
    assert victim.wait().code == -signal.SIGKILL
    nothing_is_lost(world, [run.wait().ok() for run in runs], alone)
    prune(world)
    assert litter(world) == []


def test_accidents_of_the_store_under_eight_processes(forks: Forks, world: World, alone: Alone) -> None:
    """The store goes, is cut or grows old while it is in use: whoever opens it next makes it anew, and says so."""
    store = world.results / "genbench.duckdb"
    runs = [forks.start(world.arguments(*command)) for command in RUNS]
    wait_until(lambda: first_record(world))
    seen: list[Answer] = []
    for number in range(ROUNDS):
        readers = read(forks, world)
        if store.exists():
            ACCIDENTS[number % len(ACCIDENTS)](store)
        seen += [reader.wait() for reader in readers]
    answers = [run.wait() for run in runs]
    for answer in (*seen, *answers):
        if answer.code != 0:  # it was being read when it was cut
            assert "`genbench store rebuild`" in answer.problem(2)[1]
    assert any("rebuilt from the records" in answer.err for answer in (*seen, *answers))
    nothing_is_lost(world, answers, alone)
    forks.run(world, "leaderboard", "tiny").ok()
    nothing_is_stale(world)
