"""The wheel alone, installed into an environment of its own, has everything that the first commands need."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
UV = shutil.which("uv")


def uv(*arguments: str | Path, timeout: float = 300) -> None:
    done = subprocess.run([str(UV), *map(str, arguments)], capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(UV is None, reason="uv is not on PATH")
def test_the_wheel_works_from_an_empty_folder(tmp_path: Path) -> None:
    uv("build", "--wheel", "--out-dir", tmp_path / "dist", REPOSITORY)
    (wheel,) = (tmp_path / "dist").glob("genbench-*.whl")
    python = tmp_path / "env" / "bin" / "python"
    uv("venv", "--python", sys.executable, tmp_path / "env")
    uv("pip", "install", "--python", python, wheel)
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GENBENCH_", "PYTHON"))}

    def output(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    genbench = python.with_name("genbench")
    assert "sit-emoji32@" in output(genbench, "list")
    assert "quick" in output(genbench, "list", "suites")
    code = (
        "import genbench; from genbench.images import emoji32; "
        "print(genbench.__file__); print(len(emoji32.load('train').images), len(emoji32.load('test').images))"
    )
    place, counts = output(python, "-c", code).splitlines()
    assert Path(place).is_relative_to(tmp_path / "env")
    assert counts == "3404 377"
    assert list(empty.iterdir()) == []
