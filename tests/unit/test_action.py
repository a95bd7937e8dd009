"""The GitHub action's own steps, carried out by bash as a runner would."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from tests.unit.conftest import Add

REPOSITORY = Path(__file__).parents[2]
ACTION = yaml.safe_load((REPOSITORY / "action.yml").read_text(encoding="utf-8"))
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
FD = "fd@inception-tf"
SUITE = """
id = "mine"
title = "t"
dataset = "d"
resolution = 32
reference = "r"
images = 256
labels = "uniform"
metrics = ["fid"]
runs = ["*"]
gates = [{ metric = "fid", factor = 1.1 }]
"""


def step(name: str) -> dict[str, Any]:
    (found,) = [step for step in ACTION["runs"]["steps"] if step["name"] == name]
    return dict(found)


def carry_out(name: str, folder: Path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """A step with its inputs filled in as the runner does."""
    given = {key: value.get("default", "") for key, value in ACTION["inputs"].items()} | inputs
    environment = {
        key: re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda match: given[match[1]], text)
        for key, text in step(name)["env"].items()
    }
    programs = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    files = {"GITHUB_STEP_SUMMARY": str(folder / "summary"), "GITHUB_OUTPUT": str(folder / "out"), "PATH": programs}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"]],
        cwd=folder,
        env={**os.environ, **environment, **files},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path, add: Add) -> Path:
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "mine.toml").write_text(SUITE)
    add(tmp_path / "old", 1, "toy@a", {FD: (100.0, 1.0)}, suite="mine")
    return tmp_path


@pytest.mark.parametrize(("now", "verdict", "code"), [(130.0, "worse", 1), (100.5, "same", 0)])
def test_the_step_check_tells_the_verdict(folder: Path, add: Add, now: float, verdict: str, code: int) -> None:
    add(folder / "results", 2, "toy@a", {FD: (now, 1.0)}, suite="mine")
    done = carry_out("Check", folder, suite="mine", baseline="old")
    assert (done.returncode, done.stderr) == (code, "")
    assert (folder / "out").read_text() == f"verdict={verdict}\n"
    assert f"### genbench: {verdict}" in (folder / "summary").read_text()
    assert json.loads((folder / "genbench-check" / "check.json").read_text())["verdict"] == verdict


def test_a_check_that_is_refused_fails_without_a_verdict(folder: Path, add: Add) -> None:
    add(folder / "results", 2, "toy@a", {FD: (1.0, 1.0)}, suite="mine")
    done = carry_out("Check", folder, suite="mine", baseline="$(touch hacked)")
    assert done.returncode == 2
    assert "no such file" in done.stderr
    assert not (folder / "out").exists()
    assert not (folder / "hacked").exists()


def test_the_step_measure_passes_each_model_as_one_argument(folder: Path) -> None:
    program = folder / "bin" / "genbench"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > called\n')
    program.chmod(0o755)
    assert carry_out("Measure", folder, suite="mine", models="a@* b\n$(touch hacked)\n").returncode == 0
    called = (folder / "called").read_text().splitlines()
    assert called[:6] == ["run", "mine", "-m", "a@* b", "-m", "$(touch hacked)"]
    assert not (folder / "hacked").exists()
    assert carry_out("Measure", folder, suite="mine").returncode == 0
    assert (folder / "called").read_text().splitlines()[:3] == ["run", "mine", "--results"]


@pytest.mark.parametrize("path", [REPOSITORY / "action.yml", *WORKFLOWS], ids=lambda path: path.name)
def test_no_shell_reads_an_expression(path: Path) -> None:
    """An expression inside a script would be read as a command, whoever wrote what it holds."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = content["runs"]["steps"] if "runs" in content else [s for j in content["jobs"].values() for s in j["steps"]]
    scripts = [step["run"] for step in steps if "run" in step]
    assert scripts
    assert not [script for script in scripts if "${{" in script]
    for script in scripts:
        assert subprocess.run([shutil.which("bash") or "bash", "-n", "-c", script], check=False).returncode == 0
