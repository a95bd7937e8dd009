"""Malformed inputs given to the program one after the other, and what it made of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.pipeline.conftest import Answer, World, call

MISUSE = 2


class Attempt(NamedTuple):
    """One input."""

    rng: Random
    """Of this input alone."""
    folder: Path
    """Empty; the malformed files go here."""
    world: World
    """Sound files that a command needs besides."""


class Target(NamedTuple):
    """A kind of input."""

    name: str
    share: int
    """How many of a hundred inputs are of this kind."""
    make: Callable[[Attempt], list[str]]
    """Writes the malformed files and returns the command line that reads them."""


@dataclass
class Tally:
    """What became of the inputs."""

    refused: int = 0
    """By exit code 2, with an ``error:`` and a ``hint:`` line."""
    taken: int = 0
    """The damage left a sound input, or one whose answer is no."""
    wrong: list[str] = field(default_factory=list)
    """What was neither, with the command line."""


def carry_out(target: Target, count: int, seed: int, folder: Path, world: World) -> Tally:
    """Give inputs to the program until it has refused `count` of them."""
    tally = Tally()
    for number in _numbers(tally, count):
        place = folder / f"{target.name}-{number}"
        place.mkdir()
        arguments = target.make(Attempt(Random(f"{seed}:{target.name}:{number}"), place, world))
        answer = call(*arguments)
        if wrong := problem(answer):
            tally.wrong.append(f"{target.name} {seed}:{number}: {wrong}\n  {arguments}\n{answer.err[-2000:]}")
        elif answer.code == MISUSE:
            tally.refused += 1
        else:
            tally.taken += 1
        shutil.rmtree(place)
    return tally


def _numbers(tally: Tally, count: int) -> Iterator[int]:
    """Numbers of inputs for as long as more are asked for; four in five must be what they are meant to be."""
    number = 0
    while tally.refused + len(tally.wrong) < count:
        assert tally.taken <= 0.8 * count + 5, "too few of the inputs are malformed"
        yield number
        number += 1


def problem(answer: Answer) -> str | None:
    """What is wrong with an answer to a malformed input; none where it is refused as it should be, or sound."""
    if answer.code not in (0, 1, MISUSE):
        return f"exit code {answer.code}"
    if "Traceback" in answer.err:
        return "a traceback"
    if answer.code != MISUSE:
        return None
    said = answer.err.split("\n")[-3:]
    if len(said) < 3 or not (said[0].startswith("error: ") and said[1].startswith("hint: ") and said[2] == ""):
        return "not told in an error: and a hint: line"
    return "something on standard output" if answer.out else None
