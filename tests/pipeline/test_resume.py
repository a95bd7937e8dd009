"""Damage to the cache, and what its commands do about it; `tests/torture` has the accidents of processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.conftest import Answer, Measured, World


def measurements(world: World) -> list[tuple[str, str, float, float | None]]:
    return sorted((r.run.name, m.metric, m.value, m.stderr) for r in world.records() if r.run for m in r.measurements)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [flip, truncate, lambda path: path.write_bytes(b"")], ids=["flip", "cut", "empty"])
def test_a_damaged_shard_is_noticed_told_and_made_again(measured_copy: World, damage: Callable[[Path], object]) -> None:
    world = measured_copy
    before, values = [path.read_bytes() for path in world.shards()], measurements(world)
    record = next(record for record in world.records() if record.run and record.run.name == "tiny@ode2")
    (world.results / record.folder / f"{record.id}.json").unlink()
    (shard,) = (world.features / record.images.digest).glob("effnet-lite0-*/*.npy")
    damage(shard)
    answer = world.run("tiny").ok()
    assert f"warning: {shard}: damaged shard, made again" in answer.err
    assert "plan: 1 to measure; 2 already measured; 24 of 24 images to sample" in answer.err
    assert [path.read_bytes() for path in world.shards()] == before
    assert measurements(world) == values


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_a_shard_without_its_facts_is_made_again(measured_copy: World, content: bytes) -> None:
    world = measured_copy
    record = next(record for record in world.records() if record.run and record.run.name == "tiny@sde2")
    (world.results / record.folder / f"{record.id}.json").unlink()
    (facts,) = (world.features / record.images.digest / "facts").iterdir()
    facts.write_bytes(content)
    world.run("tiny", "-m", "tiny@sde2").ok()
    again = next(record for record in world.records() if record.run and record.run.name == "tiny@sde2")
    assert again.costs.parameters == record.costs.parameters
    assert again.measurements == record.measurements


def name_of_a_process_that_ended(name: str) -> str:
    code = f"from genbench.files import temporary_name; print(temporary_name({name!r}))"
    return subprocess.run([sys.executable, "-c", code], stdout=PIPE, check=True, text=True).stdout.strip()


def test_cache_commands_look_after_what_accidents_leave(measured_copy: World, genbench: Callable[..., Answer]) -> None:
    world = measured_copy

    def cache(*arguments: str) -> Answer:
        return genbench("cache", *arguments, "--cache", world.cache)

    assert cache("verify").ok().out == ""
    damaged = world.shards()[0]
    flip(damaged)
    leftover = damaged.with_name(name_of_a_process_that_ended(damaged.name))
    leftover.write_bytes(b"half a shard")
    verified = cache("verify")
    assert (verified.code, verified.out) == (1, f"{damaged}\n")
    assert "1 damaged shards: `genbench cache prune` removes them" in verified.err
    sound = world.shards()[1:]
    assert "removed 2 damaged or temporary files and 0 sets of images" in cache("prune").ok().err
    assert not leftover.exists()
    assert world.shards() == sound
    assert cache("verify").ok().out == ""
    assert "0 sets of images" in cache("prune", "--older-than", "1").ok().err
    assert world.shards() == sound
    os.utime(sound[0], (time.time() + 86_400,) * 2)  # the clock was set back since
    assert "3 sets of images" in cache("prune", "--all").ok().err
    assert list(world.features.iterdir()) == []


def test_cache_ls_says_whose_features_lie_there(measured: Measured, genbench: Callable[..., Answer]) -> None:
    listed = genbench("cache", "ls", "--format", "csv", "--cache", measured.world.cache).ok().out.splitlines()
    assert listed[0] == "images,digest,shards,spaces,bytes,changed"
    digests = {record.run.name: record.images.digest for record in measured.world.records() if record.run}
    assert {tuple(line.split(",")[:2]) for line in listed[1:]} == set(digests.items())
