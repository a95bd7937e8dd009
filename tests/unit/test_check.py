"""`genbench check`: verdicts against folders, archives and git revisions; what it writes, and what it refuses."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree

import pytest

from genbench.cli.main import run
from genbench.comparisons.check import check
from genbench.digest import digest
from genbench.errors import UsageError
from genbench.suites import find_suite

if TYPE_CHECKING:
    from tests.unit.conftest import Add

FD, KD = "fd@inception-tf", "kd@inception-tf"
SUITE = """
id = "quick"
title = "t"
dataset = "d"
resolution = 32
reference = "r"
images = 256
labels = "uniform"
metrics = ["fid", "kid"]
runs = ["*"]
"""
GATES = '\n[[gates]]\nmetric = "fid"\nfactor = 1.1\n'


class Answer(NamedTuple):
    code: int
    out: str
    err: str


class World(NamedTuple):
    root: Path
    check: Callable[..., Answer]

    @property
    def results(self) -> Path:
        return self.root / "results"

    @property
    def baseline(self) -> Path:
        return self.root / "baseline"

    def verdicts(self, *arguments: str) -> dict[tuple[str, str], str]:
        gates = json.loads(self.check("--format", "json", *arguments).out)
        return {(gate["run"], gate["metric"]): gate["verdict"] for gate in gates}


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> World:
    """Folders of results and of a baseline, and the command on them."""
    for name in ("results", "baseline", "suites", "registry"):
        (tmp_path / name).mkdir()
    (tmp_path / "suites" / "quick.toml").write_text(SUITE + GATES)

    def check(*arguments: str) -> Answer:
        names = ("baseline", "results", "suites", "registry", "cache")
        folders = {f"--{name}": str(tmp_path / name) for name in names if f"--{name}" not in arguments}
        options = [part for option in folders.items() for part in option]
        code = run(["check", "quick", *arguments, *options])
        return Answer(code, *capsys.readouterr())

    return World(tmp_path, check)


def test_worse_equal_and_noisy(world: World, add: Add) -> None:
    now = {"worse": (130.0, 4.0), "equal": (101.0, 1.0), "better": (70.0, 4.0), "noisy": (115.0, 9.0)}
    for number, (name, value) in enumerate(now.items()):
        add(world.baseline, number, f"toy@{name}", {FD: (100.0, 1.0)})
        add(world.results, 10 + number, f"toy@{name}", {FD: value})
    add(world.results, 20, "toy@new", {FD: (100.0, 1.0)})
    # Allowed are 10: 30 and -30 exceed it for certain, 1 ± 2.58·1.41 lies within, 15 ± 2.58·9.06 leaves 0 in.
    assert world.verdicts() == {
        ("toy@worse", FD): "worse",
        ("toy@equal", FD): "same",
        ("toy@better", FD): "better",
        ("toy@noisy", FD): "inconclusive",
        ("toy@new", FD): "no baseline",
    }
    answer = world.check()
    assert answer.code == 1
    assert answer.out.splitlines()[2].startswith("worse")
    assert "failed: 1 worse, 1 inconclusive, 1 no baseline, 1 same, 1 better." in answer.out


def test_only_worse_fails_unless_strict(world: World, add: Add) -> None:
    add(world.baseline, 1, "toy@a", {FD: (100.0, 9.0)})
    add(world.results, 2, "toy@a", {FD: (115.0, 9.0)})
    assert world.check().code == 0
    strict = world.check("--strict")
    assert strict.code == 1
    assert "inconclusive" in strict.out


def test_a_significant_change_within_the_factor_is_no_regression(world: World, add: Add) -> None:
    add(world.baseline, 1, "toy@a", {FD: (100.0, 0.1)})
    add(world.results, 2, "toy@a", {FD: (105.0, 0.1)})
    assert world.verdicts() == {("toy@a", FD): "same"}
    assert world.verdicts("--gate", "fid=1.01") == {("toy@a", FD): "worse"}


def test_a_margin_serves_metrics_near_zero(world: World, add: Add) -> None:
    add(world.baseline, 1, "toy@a", {KD: (0.0001, 0.0)})
    add(world.results, 2, "toy@a", {KD: (0.0003, 0.0)})
    assert world.verdicts("--gate", "kid=1.05") == {("toy@a", KD): "worse"}
    suite = world.root / "suites" / "quick.toml"
    suite.write_text(SUITE + '\n[[gates]]\nmetric = "kid"\nmargin = 0.001\nruns = "toy@*"\n')
    assert world.verdicts() == {("toy@a", KD): "same"}


def test_the_baselines_record_itself_is_the_same(world: World, add: Add) -> None:
    for folder in (world.baseline, world.results):
        add(folder, 1, "toy@a", {FD: (100.0, None)})
    assert world.verdicts() == {("toy@a", FD): "same"}


def test_a_value_without_a_standard_error_has_no_verdict_but_that(world: World, add: Add) -> None:
    add(world.baseline, 1, "toy@a", {FD: (100.0, None)})
    add(world.results, 2, "toy@a", {FD: (900.0, None)})
    assert world.verdicts() == {("toy@a", FD): "no error bar"}
    assert (world.check().code, world.check("--strict").code) == (0, 1)


def test_what_differs_in_the_baselines_protocol_is_told(world: World, add: Add) -> None:
    add(world.baseline, 1, "toy@a", {FD: (100.0, 1.0)}, suite_digest="6" * 64, images={"labels": "balanced"})
    add(world.results, 2, "toy@a", {FD: (900.0, 1.0)}, images={"labels": "uniform"})
    answer = world.check()
    assert answer.code == 0
    assert "no baseline" in answer.out
    assert "the baseline differs in label policy: balanced and uniform" in answer.out


def test_seconds_are_held_against_the_same_hardware_only(world: World, add: Add) -> None:
    for number, (device, seconds) in enumerate([("A", 1.0), ("A", 1.3), ("B", 0.1)]):
        costs = {"seconds_per_image": seconds}
        add(world.baseline, number, "toy@a", {FD: (1.0, 0.1)}, costs=costs, provenance={"device": device})
    gate = ("--gate", "seconds_per_image=1.2")
    expected = [("A", 1.7, "worse"), ("A", 1.5, "same"), ("A", 0.5, "better"), ("C", 9.0, "no baseline")]
    # Worse than the slowest of 1.0 and 1.3 by more than a fifth is 1.56, better than the fastest is 0.83.
    for number, (device, seconds, verdict) in enumerate(expected, 10):
        costs = {"seconds_per_image": seconds}
        add(world.results, number, "toy@a", {FD: (1.0, 0.1)}, costs=costs, provenance={"device": device})
        assert world.verdicts(*gate) == {("toy@a", "seconds_per_image"): verdict}
    assert "C" in world.check(*gate).out


@pytest.mark.parametrize("metric", ["fid", "seconds_per_image"])
def test_a_gate_of_runs_that_there_are_not_is_no_gate_that_is_passed(world: World, add: Add, metric: str) -> None:
    for folder in (world.baseline, world.results):
        add(folder, 1, "toy@a", {FD: (100.0, 1.0)}, costs={"seconds_per_image": 1.0})
        add(folder, 2, "toy@b", {FD: (100.0, 1.0)}, costs={"seconds_per_image": 1.0})
    suite = world.root / "suites" / "quick.toml"
    gate = f'\n[[gates]]\nmetric = "{metric}"\nfactor = 1.1\nruns = "toy@{{}}"\n'
    suite.write_text(SUITE + gate.format("c*"))
    answer = world.check()
    assert answer.code == 2
    assert "no run named 'toy@c*'" in answer.err
    suite.write_text(SUITE.partition("[[gates]]")[0] + gate.format("b"))
    assert world.verdicts() == {("toy@b", "seconds_per_image" if metric != "fid" else FD): "same"}
    with pytest.raises(UsageError, match="no gate of suite quick is of toy@a"):
        check(find_suite("quick", [suite.parent]), str(world.baseline), results=world.results, runs="toy@a")


def test_an_archive_serves_as_the_baseline(world: World, add: Add, capsys: pytest.CaptureFixture[str]) -> None:
    add(world.baseline, 1, "toy@a", {FD: (100.0, 1.0)})
    add(world.results, 2, "toy@a", {FD: (130.0, 1.0)})
    exported = world.root / "exported"
    assert run(["store", "export", str(exported), "--results", str(world.baseline)]) == 0
    capsys.readouterr()
    assert world.check("--baseline", str(exported / "records.parquet")).code == 1


@pytest.fixture
def repository(world: World, add: Add) -> World:
    """Results of which the first record is committed, and the second is not."""
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    add(world.results, 1, "toy@a", {FD: (100.0, 1.0)})
    for command in ("init -q -b trunk", "add results suites", "commit -q -m first"):
        subprocess.run(["git", *command.split()], cwd=world.root, env=environment, check=True)
    add(world.results, 2, "toy@a", {FD: (130.0, 1.0)})
    return world


def test_a_git_revision_serves_as_the_baseline(repository: World) -> None:
    assert repository.check("--baseline", "trunk").code == 1
    assert repository.check("--baseline", "HEAD").code == 1
    assert not list(repository.root.glob("**/genbench-baseline-*"))


@pytest.mark.parametrize("revision", ["trunkk", "--output=x", "HEAD; touch x", "../nowhere"])
def test_a_baseline_that_is_nothing(repository: World, revision: str) -> None:
    answer = repository.check("--baseline", revision)
    assert answer.code == 2
    assert f"error: {revision}: no such file, folder or git revision" in answer.err


def test_a_revision_without_results(repository: World) -> None:
    answer = repository.check("--baseline", "trunk", "--results", str(repository.root / "elsewhere"))
    assert answer.code == 2
    (repository.root / "elsewhere").mkdir()
    answer = repository.check("--baseline", "trunk", "--results", str(repository.root / "elsewhere"))
    assert "git revision trunk has no elsewhere" in answer.err


def test_records_of_an_older_schema_are_read(world: World, add: Add) -> None:
    path = add(world.baseline, 1, "toy@a", {FD: (100.0, 1.0)})
    data = json.loads(path.read_text())
    # Schema 1 knew nothing of these.
    for key in ("held_out", "precision", "contributions", "influence"):
        data.pop(key, None)
    for measurement in data["measurements"]:
        for key in ("spread", "deviation", "deviation_n"):
            measurement.pop(key, None)
    data = {key: value for key, value in data.items() if key != "digest"} | {"schema_version": 1}
    path.write_text(json.dumps(data | {"digest": digest(data)}))
    add(world.results, 2, "toy@a", {FD: (130.0, 1.0)})
    assert world.verdicts() == {("toy@a", FD): "worse"}


def test_a_record_edited_by_hand_is_left_out_and_named(world: World, add: Add) -> None:
    path = add(world.baseline, 1, "toy@a", {FD: (100.0, 1.0)})
    path.write_text(path.read_text().replace("100.0", "200.0"))
    add(world.results, 2, "toy@a", {FD: (130.0, 1.0)})
    answer = world.check()
    assert "no baseline" in answer.out
    assert "was changed after it was written" in answer.err


def test_summary_junit_and_json(world: World, add: Add) -> None:
    name = 'toy@<b>&"x'
    add(world.baseline, 1, name, {FD: (100.0, 1.0)})
    add(world.results, 2, name, {FD: (130.0, 1.0)})
    add(world.results, 3, "toy@new", {FD: (1.0, 0.1)})
    files = {option: world.root / f"answer.{option}" for option in ("summary", "junit", "json")}
    files["summary"].write_text("before\n")
    answer = world.check(*(part for option, file in files.items() for part in (f"--{option}", str(file))))
    assert answer.code == 1
    markdown = files["summary"].read_text()
    assert markdown.startswith("before\n### genbench: worse\n\n| verdict")
    assert "toy@&lt;b>&amp;" in markdown
    suite = ElementTree.fromstring(files["junit"].read_text())
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "1", "1")
    cases = {case.get("classname"): [child.tag for child in case] for case in suite}
    assert cases == {name: ["failure"], "toy@new": ["skipped"]}
    found = json.loads(files["json"].read_text())
    assert (found["verdict"], found["passed"]) == ("worse", False)
    gate = next(gate for gate in found["gates"] if gate["run"] == name)
    assert (gate["baseline"], gate["value"], gate["difference"], gate["factor"]) == (100.0, 130.0, 30.0, 1.1)


def test_what_is_refused(world: World, add: Add) -> None:
    def refused(*arguments: str) -> str:
        answer = world.check(*arguments)
        assert (answer.code, answer.out) == (2, "")
        return answer.err

    assert "the name of the baseline is empty" in refused("--baseline", "")
    assert "a folder without records" in refused()
    assert not list(world.baseline.iterdir())
    add(world.baseline, 1, "toy@a", {FD: (100.0, 1.0)}, suite="other")
    assert "no results of suite quick" in refused()
    add(world.results, 1, "toy@a", {FD: (100.0, 1.0)})
    assert "is not METRIC=FACTOR" in refused("--gate", "fid")
    assert "factor" in refused("--gate", "fid=0.5")
    assert "no metric named 'kd@inception-tf'" in refused("--gate", "kid=1.1")
    assert "are the same folder" in refused("--baseline", str(world.results))
    (world.root / "suites" / "quick.toml").write_text(SUITE)
    assert "suite quick has no gates" in refused()
