"""Runs that several processes share: the bytes of one process, and the loss of a process costs what it was making."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from tests.pipeline.conftest import World

COMMAND = ("tiny", "-m", "tiny@sde2", "--set", "steps=20", "--shard-size", "2")  # 12 shards
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
GENBENCH = ("-m", "genbench")

MACHINES = """
import sys
from ray.cluster_utils import Cluster

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
machines = [cluster.add_node(num_cpus=THREADS) for _ in range(2)]
print(cluster.address, flush=True)
sys.stdin.readline()
cluster.remove_node(machines[0], allow_graceful=False)
print("one is gone", flush=True)
sys.stdin.readline()
cluster.shutdown()
"""
"""A head where nothing is computed and two machines with a worker's CPUs; a line on standard input ends one of them."""

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra ray is not installed")


def start(world: World, launch: Sequence[str], *options: str) -> subprocess.Popen[str]:
    """The command in processes of its own, each with as many threads as here: other numbers of them round otherwise."""
    return subprocess.Popen(
        [*launch, *world.arguments("run", *COMMAND, *options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
        cwd=Path(__file__).parents[2],
    )


def facts(world: World) -> dict[str, dict[str, Any]]:
    """What making each shard took, by the name of the shard."""
    return {path.stem: json.loads(path.read_bytes()) for path in sorted(world.features.glob("*/facts/*.json"))}


def workers(world: World) -> list[str]:
    """The processes that made the shards."""
    return sorted({fact["worker"] for fact in facts(world).values()})


def kill_a_worker(world: World, process: subprocess.Popen[str]) -> dict[str, dict[str, Any]]:
    """Wait for three shards, then kill the process that made the first one; what was finished then."""
    finished = await_shards(world, process)
    os.kill(int(next(iter(finished.values()))["worker"].partition(":")[2]), signal.SIGKILL)
    return finished


def await_shards(world: World, process: subprocess.Popen[str]) -> dict[str, dict[str, Any]]:
    """Wait for three shards; what was finished then."""
    while len(facts(world)) < 3:
        assert process.poll() is None, process.communicate()
        time.sleep(0.2)
    return facts(world)


def check_same(world: World, alone: World) -> None:
    """That both worlds hold the same bytes and records of the same numbers."""

    def arrays(place: World) -> dict[str, bytes]:
        return {str(path.relative_to(place.features)): path.read_bytes() for path in place.features.rglob("*.npy")}

    assert arrays(world) == arrays(alone)
    (record,), (other,) = world.records(), alone.records()
    for field in ("suite", "run", "images", "reference", "spaces", "measurements", "contributions"):
        assert getattr(record, field) == getattr(other, field), field


@pytest.fixture
def alone(world: World, tmp_path: Path) -> World:
    """The same world, measured by one process."""
    alone = world.copy(tmp_path / "alone")
    alone.run(*COMMAND).ok()
    return alone


def test_ranks_of_torchrun_give_the_bytes_and_the_numbers_of_one_process(world: World, alone: World) -> None:
    with start(world, [*TORCHRUN, *GENBENCH]) as process:
        out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert out.count("rank  run") == 1, "one rank speaks"
    assert err.count("plan: 1 to measure") == 1
    assert len(workers(world)) == 2, "both ranks made shards"
    (row,) = world.rows("SELECT engine, workers, utilisation FROM runs JOIN costs USING (record_id)")
    assert (row["engine"], row["workers"]) == ("torchrun", 2)
    assert 0 < row["utilisation"] <= 1
    check_same(world, alone)


@pytest.mark.slow
def test_where_a_rank_is_killed_torchrun_starts_them_again_and_they_go_on(world: World, alone: World) -> None:
    with start(world, [*TORCHRUN, "--max-restarts=1", *GENBENCH]) as process:
        finished = kill_a_worker(world, process)
        _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert finished.items() <= facts(world).items(), "what was finished is not made again"
    assert len(workers(world)) >= 3, "two ranks, and those that came after them"
    check_same(world, alone)


@needs_ray
@pytest.mark.slow
def test_a_worker_of_ray_that_is_killed_costs_its_shard(world: World, alone: World) -> None:
    with start(world, [sys.executable, *GENBENCH], "--engine", "ray") as process:
        finished = kill_a_worker(world, process)
        _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert err.count("a worker of the cluster died making images") == 1
    assert finished.items() <= facts(world).items(), "what was finished is not made again"
    assert len(workers(world)) >= 2, "the one that was killed, and others"
    check_same(world, alone)


@needs_ray
@pytest.mark.slow
def test_a_machine_of_ray_that_is_gone_costs_its_shard(world: World, alone: World) -> None:
    script = MACHINES.replace("THREADS", str(torch.get_num_threads()))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", script], **pipes) as machines:
        assert machines.stdin
        assert machines.stdout
        address = machines.stdout.readline().strip()
        with start(world, [sys.executable, *GENBENCH], "--engine", "ray", "--address", address) as process:
            finished = await_shards(world, process)
            print(file=machines.stdin, flush=True)
            assert machines.stdout.readline() == "one is gone\n"
            _, err = process.communicate(timeout=400)
        print(file=machines.stdin, flush=True)
    assert process.returncode == 0, err
    assert err.count("a worker of the cluster died making images") == 1
    assert finished.items() <= facts(world).items(), "what was finished is not made again"
    check_same(world, alone)
