"""Malformed inputs that follow what the program does with them: coverage leads the draws of the same makers.

    uv run --group fuzz python tests/fuzz/guided.py KIND [-runs=10000] [libFuzzer's other options] [CORPUS]

The bytes that libFuzzer changes are the draws from which a maker of `tests.fuzz` damages its sound input: structure is
warped as there, and what reaches new lines of genbench is warped further. An input that is not refused as it should be
ends the program, and its bytes are kept as ``crash-…``; given as CORPUS they make the input again.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType
from typing import NoReturn

MISUSE = 2
FIRST, LENGTH = 64, 256
"""The corpus to begin with: so many inputs, of so many bytes each."""


class Choices(Random):
    """Draws that are read off bytes, and zeros when these are used up."""

    def __init__(self, data: bytes) -> None:
        super().__init__(0)
        self._data, self._place = data, 0

    def getrandbits(self, k: int) -> int:
        """The next `k` bits."""
        count = -(-k // 8)
        taken = self._data[self._place : self._place + count].ljust(count, b"\0")
        self._place += count
        return int.from_bytes(taken, "little") >> (8 * count - k)

    def random(self) -> float:
        """The next number of [0, 1)."""
        return self.getrandbits(53) / (1 << 53)


def make_importable() -> None:
    """Let ``import tests`` mean this checkout's, as pytest does: torch-fidelity installs a package of that name too."""
    package = ModuleType("tests")
    package.__path__ = [str(Path(__file__).parents[1])]
    sys.modules["tests"] = package


def refuse(error: str, hint: str) -> NoReturn:
    """End the program as genbench does."""
    sys.stderr.write(f"error: {error}\nhint: {hint}\n")
    raise SystemExit(MISUSE)


def begin(folder: Path) -> None:
    """Write the corpus to begin with."""
    for number in range(FIRST):
        (folder / f"{number}").write_bytes(Random(number).randbytes(LENGTH))


def harness(kind: str, scratch: Path) -> Callable[[bytes], None]:
    """What carries out one input of that kind; ends the program for a kind that there is not."""
    from tests.fuzz.campaign import Attempt, problem
    from tests.fuzz.test_malformed_input import TARGETS
    from tests.pipeline.conftest import call, make_world

    targets = {target.name: target for target in TARGETS}
    if kind not in targets:
        refuse(f"{kind}: is no kind of input", hint=f"one of {', '.join(targets)}")
    world = make_world(scratch)
    place = scratch / "input"

    def one(data: bytes) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        arguments = targets[kind].make(Attempt(Choices(data), place, world))
        answer = call(*arguments)
        if wrong := problem(answer):
            raise AssertionError(f"{wrong}\n  {arguments}\n{answer.err[-2000:]}")

    return one


def main() -> None:
    """Fuzz one kind of input until libFuzzer's options say that it is enough."""
    if len(sys.argv) < 2:
        refuse("which kind of input?", hint=(__doc__ or "").splitlines()[2].strip())
    import atheris

    make_importable()
    kind, *options = sys.argv[1:]
    os.environ["GENBENCH_OFFLINE"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        with atheris.instrument_imports(include=["genbench"]):
            one = harness(kind, Path(scratch))
        corpus = Path(scratch) / "corpus"
        corpus.mkdir()
        begin(corpus)
        atheris.Setup([sys.argv[0], *options, str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
