"""`torchrun -m genbench run`: the same bytes as one process, and the same command goes on where a rank died."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

if TYPE_CHECKING:
    from tests.pipeline.conftest import World

COMMAND = ("tiny", "-m", "tiny@sde2", "--set", "steps=20", "--shard-size", "2")  # 12 shards


def torchrun(world: World, *options: str, command: Sequence[str] = COMMAND) -> subprocess.Popen[str]:
    """Two ranks that carry the command out."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    arguments = [*launch, "-m", "genbench", *world.arguments("run", *command)]
    return subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=Path(__file__).parents[2],
    )


def facts(world: World) -> list[dict[str, Any]]:
    """What making each shard took."""
    return [json.loads(path.read_bytes()) for path in sorted(world.features.glob("*/facts/*.json"))]


def arrays(world: World) -> dict[str, bytes]:
    return {str(path.relative_to(world.features)): path.read_bytes() for path in world.features.rglob("*.npy")}


def test_ranks_give_the_bytes_and_the_numbers_of_one_process(world: World, tmp_path: Path) -> None:
    alone = world.copy(tmp_path / "alone")
    alone.run(*COMMAND).ok()
    with torchrun(world) as process:
        out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert out.count("rank  run") == 1, "one rank speaks"
    assert err.count("plan: 1 to measure") == 1
    assert len(Counter(fact["worker"] for fact in facts(world))) == 2, "both ranks made shards"
    assert arrays(world) == arrays(alone)
    (record,), (other,) = world.records(), alone.records()
    for field in ("suite", "run", "images", "reference", "spaces", "measurements", "contributions"):
        assert getattr(record, field) == getattr(other, field), field


@pytest.mark.slow
def test_a_rank_that_is_killed_costs_its_shard_and_the_ranks_go_on(world: World, tmp_path: Path) -> None:
    alone = world.copy(tmp_path / "alone")
    alone.run(*COMMAND).ok()
    with torchrun(world, "--max-restarts=1") as process:
        while len(facts(world)) < 3:
            assert process.poll() is None
            time.sleep(0.2)
        before = {path: path.stat().st_mtime_ns for path in world.shards()}
        os.kill(int(facts(world)[0]["worker"].partition(":")[2]), signal.SIGKILL)
        _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    assert len({fact["worker"] for fact in facts(world)}) >= 3, "two ranks at first, and those that came after them"
    assert {path: path.stat().st_mtime_ns for path in before} == before, "what was finished is not made again"
    assert arrays(world) == arrays(alone)
    (record,), (other,) = world.records(), alone.records()
    assert record.measurements == other.measurements
