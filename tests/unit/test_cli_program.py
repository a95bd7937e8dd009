"""The program around the commands: help, exit codes, what is loaded, and the first look from an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from genbench import __version__
from genbench.cli import main

HEAVY = ("torch", "numpy", "matplotlib", "pandas", "scipy")


def commands(group: Any, *above: str) -> Iterator[tuple[str, ...]]:
    """Every command and group of the program, as it is typed."""
    for name, command in group.commands.items():
        yield (*above, name)
        if hasattr(command, "commands"):
            yield from commands(command, *above, name)


COMMANDS = list(commands(typer.main.get_command(main.app)))


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in ("REGISTRY", "SUITES", "RESULTS", "CACHE"):
        monkeypatch.delenv(f"GENBENCH_{name}", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def program(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert ("cache", "ls") in COMMANDS, "the commands of groups are among them"
    assert main.run([*command, "--help"]) == 0
    out, err = capsys.readouterr()
    assert f"Usage: genbench {' '.join(command)}" in out
    assert err == ""


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["--version"]) == 0
    assert capsys.readouterr().out == f"genbench {__version__}\n"


@pytest.mark.parametrize("arguments", [(), ("store",), ("cache",)])
def test_a_bare_group_shows_its_help(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*arguments]) == 2
    assert "Usage: genbench" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("rnu",), "rnu", "`genbench --help` shows what it takes"),
        (("list", "method"), "method", "`genbench list --help` shows what it takes"),
        (("list", "bogus"), "error: Invalid value for 'kind': 'bogus' is not one of", "`genbench list --help`"),
        (("show", "environment", "foo"), "none named 'foo'", "`genbench show environment`"),
        (("validate", "sit-emoji32"), "sit-emoji32 is a variant of card sit", "`genbench validate sit`"),
        (("validate", "sit-emoji32@ode25"), "sit-emoji32 is a variant of card sit", "`genbench validate sit`"),
        (("compare", "a", "b", "--precision", "half"), "'half' is not one of 'exact'", "`genbench compare --help`"),
        (("show", "metod"), "no thing to show named 'metod'", "did you mean method"),
        (("show", "suite"), "which suite?", "`genbench list suites` has the names"),
        (("show", "suite", "quik"), "no suite named 'quik'", "did you mean quick?"),
        (("show", "metric", "fdi"), "no metric named 'fdi'", "fid"),
        (("show", "space", "effnet"), "no feature space named 'effnet'", "effnet-lite0"),
        (("validate", "biggan"), "BigGAN cannot be run", "`genbench score PATH --suite SUITE`"),
        (("show", "published"), "which published?", "`genbench list published` has the names"),
        (("show", "published", "ditt"), "no method with published figures named 'ditt'", "did you mean dit"),
        (("show", "published", "DiT-XL"), "no published figures under 'DiT-XL'", "they stand under dit"),
        (("show", "run", "nothing@all"), "no run or record named 'nothing@all'", "`genbench list runs`"),
        (("leaderboard",), "Missing argument", "`genbench leaderboard --help` shows what it takes"),
        (("sql", "select 1", "--results", "nowhere"), "nowhere: no folder of results", "--results"),
        (("list", "runs", "--results", "nowhere"), "nowhere: no folder of results", "--results"),
        (("leaderboard", "quick"), "no folder of results", "genbench run"),
        (("list", "--registry", "nowhere"), "--registry nowhere: no such folder", "leave it out"),
        (("cache", "prune", "--older-than", "-1"), "--older-than", "`genbench cache prune --help`"),
    ],
)
def test_misuse_is_two_lines_and_exit_code_2(
    arguments: tuple[str, ...], error: str, hint: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*arguments]) == 2
    out, err = capsys.readouterr()
    said, advised = err.splitlines()
    assert said.startswith("error: ")
    assert error in said
    assert advised.startswith("hint: ")
    assert hint in advised
    assert out == ""
    assert list(empty_folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("list",), "sit-emoji32@"),
        (("list", "methods", "--format", "json"), "sit-emoji32@"),
        (("list", "suites"), "quick"),
        (("list", "metrics"), "fd@inception-tf"),
        (("list", "spaces"), "effnet-lite0"),
        (("list", "runs"), "record_id"),
        (("show", "method", "sit"), "Scalable Interpolant Transformers"),
        (("show", "method", "sit-emoji32"), "emoji32"),
        (("show", "suite", "quick"), "emoji32-train"),
        (("show", "metric", "fid"), "1706.08500"),
        (("show", "space", "effnet-lite0"), "1280"),
        (("show", "published", "dit"), "genbench runs DiT: dit-"),
        (("show", "published", "biggan"), "BigGAN cannot be run: genbench has no network of this family."),
        (("show", "published", "raev2", "--format", "csv"), "fdr@mae-l,2.67"),
        (("list", "published"), "lightningdit"),
        (("show", "environment"), '"torch"'),
        (("sql", "select 6 * 7 as answer"), "42"),
        (("sql", "select method from methods", "--format", "csv"), "sit"),
        (("sql", "from leaderboard", "--format", "json"), "[]"),
        (("cache", "ls"), "images"),
    ],
)
def test_the_first_look_from_an_empty_folder(
    arguments: tuple[str, ...], expected: str, empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run([*arguments]) == 0
    assert expected in capsys.readouterr().out
    assert list(empty_folder.iterdir()) == [], "looking writes nothing"


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("run", "--help"), ("list",), ("list", "metrics"), ("list", "spaces"), ("sql", "select 1")],
    ids=" ".join,
)
def test_commands_that_only_look_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code = (
        "import json, sys\nfrom genbench.cli import main\ncode = main.run(sys.argv[1:])\n"
        f"print(json.dumps([code, [name for name in {HEAVY!r} if name in sys.modules]]))"
    )
    done = program(code, *arguments)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []], done.stderr


def test_a_reader_that_leaves_is_no_error() -> None:
    """As `genbench list | head -0`: the other end of standard output is closed before anything is written."""
    reading, writing = os.pipe()
    os.close(reading)
    code = "from genbench.cli.main import main; main()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, "list"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "quick", "--results", "{long}", "--dry-run"),
        ("cache", "ls", "--cache", "{long}"),
        ("leaderboard", "quick", "--results", "{long}"),
        ("weights", "convert", "{long}.pt", "x.safetensors"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_name_that_no_file_can_have_is_refused(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    long = "a" * 5000
    assert main.run([argument.format(long=long) for argument in arguments]) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert error.startswith("error: ")
    assert long in error
    assert hint.startswith("hint: ")
