"""Killed at any moment, the same command ends in the numbers of an undisturbed run, and nothing is left lying about."""

from __future__ import annotations

import itertools
import math
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.conftest import make_world
from tests.torture.conftest import COMMAND, Child, Forks, Undisturbed, chosen, resumes

PHASES = ("sampling", "extraction", "shards", "metrics", "record", "store")


def test_killed_before_a_change_of_files(forks: Forks, undisturbed: Undisturbed, tmp_path: Path, kills: int) -> None:
    steps = undisturbed.child.events("step")
    for step in chosen(range(len(steps)), kills):
        world = make_world(tmp_path / str(step))
        assert forks.run(world, *COMMAND, kill_at=step).code == -signal.SIGKILL, steps[step]
        resumes(forks, world, undisturbed)


def span(child: Child, phase: str) -> float:
    """Seconds from the first beginning of a phase to that of another one; to the end of the run for the last one."""
    phases = child.events("phase")
    first = next(i for i, event in enumerate(phases) if event.name == phase)
    after = next((event for event in phases[first:] if event.name != phase), child.events("step")[-1])
    return after.seconds - phases[first].seconds


@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_a_random_moment(
    forks: Forks,
    undisturbed: Undisturbed,
    tmp_path: Path,
    kills: int,
    phase: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    wanted = math.ceil(kills / len(PHASES))
    hit: Counter[str] = Counter()
    longest = span(undisturbed.child, phase)
    for number in itertools.count():
        world = make_world(tmp_path / str(number))
        child = forks.start(world.arguments(*COMMAND))
        child.await_phase(phase)
        time.sleep(random.Random(f"{phase} {number}").uniform(0, longest))
        os.kill(child.pid, signal.SIGKILL)
        if child.wait().code == -signal.SIGKILL:
            hit[child.events("phase")[-1].name] += 1
            resumes(forks, world, undisturbed)
        else:
            longest /= 2  # the machine is less busy now
        if hit.total() == wanted:
            break
    for name, times in hit.items():
        record_testsuite_property(f"aimed at {phase}, killed in {name}", times)
