"""What never answers: a file that cannot be read to its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest
from PIL import Image

from tests.pipeline.conftest import Answer, World

PROGRAM = """
import sys, time
from genbench.images import readahead

readahead.PATIENCE, stuck = float(sys.argv.pop(1)), sys.argv.pop(1)


def hang(event, arguments):
    if event == "open" and str(arguments[0]) == stuck:
        print("stuck", flush=True)
        time.sleep(600)


sys.addaudithook(hang)
from genbench.cli.main import main

main()
"""
"""`genbench` as it is, but for how long it waits, and for one file that does not answer."""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        Image.fromarray(np.full((32, 32, 3), 40 * i, np.uint8)).save(folder / f"{i}.png")
    return folder


def score(world: World, images: Path, patience: float) -> subprocess.Popen[str]:
    arguments = world.arguments("score", images, "--metrics", "precision@effnet-lite0", "--reference", "emoji32-train")
    command = [sys.executable, "-c", PROGRAM, str(patience), str(images / "3.png"), *arguments]
    return subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def test_a_decoder_that_hangs_ends_the_command_after_its_time(world: World, images: Path) -> None:
    with score(world, images, patience=1.5) as process:
        out, err = process.communicate(timeout=300)
    error, hint = Answer(process.returncode, out.removeprefix("stuck\n"), err).problem(2)
    assert error == f"{images / '3.png'}: not read within 1.5 s"
    assert "finished work is kept" in hint


def test_a_decoder_that_hangs_can_be_interrupted(world: World, images: Path) -> None:
    with score(world, images, patience=600) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert err.splitlines()[-2] == "error: interrupted"
    assert time.monotonic() - started < 60
