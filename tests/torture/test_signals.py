"""Signals: the first one ends a run in order and keeps its work, a second one ends it at once."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from genbench.cli.signals import end_in_order
from tests.pipeline.conftest import Answer, World
from tests.torture.conftest import COMMAND, Child, Forks, Undisturbed, kept, litter, resumes, wait_until

LONG = ("run", "tiny", "-m", "tiny@sde2", "--set", "steps=200", "--shard-size", "6")
"""24 images in four shards, each of which takes long enough for a signal to come within it."""
SHARDS = 4
TOLD = {
    SIGINT: (130, "error: interrupted"),
    SIGTERM: (143, "error: terminated"),
}


def ends_in_order(answer: Answer, number: signal.Signals) -> None:
    code, error = TOLD[number]
    assert answer.code == code, answer.err
    hint = "hint: finished shards are kept; the same command continues from there"
    assert answer.err.splitlines()[-2:] == [error, hint]
    assert "Traceback" not in answer.err


@pytest.mark.parametrize("number", TOLD)
@pytest.mark.parametrize("phase", ["sampling", "extraction", "metrics", "store"])
def test_a_signal_in_any_phase_ends_a_run_in_order(
    forks: Forks, undisturbed: Undisturbed, world: World, number: signal.Signals, phase: str
) -> None:
    child = forks.start(world.arguments(*COMMAND))
    child.await_phase(phase)
    os.kill(child.pid, number)
    ends_in_order(child.wait(), number)
    assert litter(world) == [], "an interruption leaves nothing"
    resumes(forks, world, undisturbed)


def strike(forks: Forks, world: World, number: signal.Signals, happened: Callable[[Child], bool]) -> Answer:
    """Begin the long command and send it a signal as soon as something has happened."""
    child = forks.start(world.arguments(*LONG))
    wait_until(lambda: happened(child))
    os.kill(child.pid, number)
    return child.wait()


def test_a_run_that_is_ended_again_and_again_ends_in_the_same_bytes(forks: Forks, world: World, tmp_path: Path) -> None:
    undisturbed = world.copy(tmp_path / "undisturbed")
    forks.run(undisturbed, *LONG).ok()
    expected = kept(undisturbed)
    assert len(expected.shards) == SHARDS

    ends_in_order(strike(forks, world, SIGINT, lambda _: len(world.shards()) >= 1), SIGINT)
    first = times(world)
    assert 1 <= len(first) < SHARDS
    assert strike(forks, world, SIGKILL, lambda _: len(world.shards()) > len(first)).code == -SIGKILL
    second = times(world)
    assert first.items() < second.items(), "what was finished is not made again"
    assert len(second) < SHARDS, "killed within a later shard"
    ends_in_order(strike(forks, world, SIGTERM, lambda child: child.was_in("metrics")), SIGTERM)
    assert world.records() == [], "terminated while measuring"
    complete = times(world)

    assert "plan: 1 to measure; 0 of 24 images to sample" in forks.run(world, *LONG).ok().err
    assert times(world) == complete
    assert kept(world) == expected
    (record,) = world.records()
    assert (world.results / record.folder / f"{record.id}.png").is_file()


def times(world: World) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in world.shards()}


@pytest.mark.parametrize("first", TOLD)
@pytest.mark.parametrize("second", TOLD)
def test_a_second_signal_ends_at_once_what_the_first_one_did_not(
    forks: Forks, undisturbed: Undisturbed, world: World, first: signal.Signals, second: signal.Signals
) -> None:
    began = next(event.seconds for event in undisturbed.child.events("phase") if event.name == "shards")
    stuck_at = sum(event.seconds < began for event in undisturbed.child.events("step"))
    child = forks.start(world.arguments(*COMMAND), stuck_at=stuck_at)
    wait_until(lambda: len(child.events("step")) > stuck_at)
    os.kill(child.pid, first)
    time.sleep(0.5)
    os.kill(child.pid, 0)  # it is there: nothing ends what cannot be left in order
    started = time.monotonic()
    os.kill(child.pid, second)
    assert child.wait().code == -second
    assert time.monotonic() - started < 20
    resumes(forks, world, undisturbed)


def test_signals_that_a_process_was_started_to_ignore_stay_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``nohup`` and a shell's ``&`` ask for."""
    handlers = {SIGINT: signal.SIG_IGN, SIGTERM: signal.SIG_DFL}
    monkeypatch.setattr(signal, "getsignal", handlers.__getitem__)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    end_in_order()
    assert handlers[SIGINT] is signal.SIG_IGN
    assert callable(handlers[SIGTERM])


ENDLESS = "SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b"


@pytest.mark.parametrize("number", TOLD)
def test_a_query_is_left_in_order_or_by_a_second_signal(
    forks: Forks, undisturbed: Undisturbed, number: signal.Signals
) -> None:
    """DuckDB turns what a signal raises into an error of its own, and now and then does not hear it."""
    child = forks.start(["sql", ENDLESS, "--results", str(undisturbed.world.results)])
    child.await_phase("store")
    time.sleep(2)
    os.kill(child.pid, number)
    time.sleep(3)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, number)
    answer = child.wait()
    if answer.code != -number:
        ends_in_order(answer, number)
