"""Draws that are read off bytes: what coverage-guided fuzzing changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from random import Random

from tests.fuzz.guided import Choices

GUIDED = Path(__file__).parent / "guided.py"


def draws(rng: Random) -> list[object]:
    return [rng.randrange(7), rng.choice("abcdefgh"), rng.random(), rng.randint(1, 4), rng.sample(range(99), 3)]


def test_the_same_bytes_are_the_same_draws_and_other_bytes_are_others() -> None:
    data = Random(0).randbytes(64)
    assert draws(Choices(data)) == draws(Choices(data))
    assert draws(Choices(data)) != draws(Choices(data[1:]))


def test_draws_lie_where_they_should() -> None:
    for seed in range(50):
        rng = Choices(Random(seed).randbytes(64))
        assert 0 <= rng.random() < 1
        assert rng.getrandbits(3) < 8
        assert rng.randrange(5) in range(5)


def test_bytes_that_are_used_up_go_on_as_zeros() -> None:
    rng = Choices(b"")
    assert [rng.random(), rng.randrange(1000), rng.choice("abc"), rng.getrandbits(70)] == [0.0, 0, "a", 0]


def test_without_a_kind_of_input_it_says_how_it_is_called() -> None:
    done = subprocess.run([sys.executable, GUIDED], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "error: which kind of input?"
    assert "tests/fuzz/guided.py KIND" in done.stderr.splitlines()[1]
