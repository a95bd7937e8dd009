"""The fixture `genbench_check`, in a test session of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.conftest import Add

pytest_plugins = ["pytester"]

FD = "fd@inception-tf"
# By name, also where genbench is installed and pytest would find it by itself.
PLUGIN = ("-p", "no:genbench", "-p", "genbench.pytest_plugin")
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
TESTS = """
def test_a(genbench_check):
    answer = genbench_check("mine", runs="toy@a")
    assert [result.outcome.value for result in answer.results] == ["same"]

def test_b(genbench_check):
    genbench_check("mine", runs="toy@b")

def test_c(genbench_check):
    genbench_check("mine", runs="toy@c")

def test_d(genbench_check):
    genbench_check("mine", runs="toy@c", strict=True)

def test_e(genbench_check):
    genbench_check("mime")

def test_f(genbench_check):
    genbench_check("mine", baseline="nowhere")
"""


def test_a_worse_run_fails_its_test(pytester: pytest.Pytester, add: Add) -> None:
    values = {"a": (100.0, 100.0), "b": (100.0, 130.0), "c": (None, 100.0)}
    for number, (name, (before, now)) in enumerate(values.items()):
        if before is not None:
            add(pytester.path / "old", number, f"toy@{name}", {FD: (before, 1.0)}, suite="mine")
        add(pytester.path / "new", 10 + number, f"toy@{name}", {FD: (now, 1.0)}, suite="mine")
    pytester.mkdir("suites").joinpath("mine.toml").write_text(SUITE)
    pytester.makeini(f"[pytest]\ngenbench_results = new\ngenbench_baseline = {pytester.path / 'old'}\n")
    pytester.makepyfile(TESTS)
    done = pytester.runpytest(*PLUGIN)
    done.assert_outcomes(passed=2, failed=4)
    done.stdout.fnmatch_lines(
        [
            "Check of suite mine against *old failed: 1 worse.",
            "worse * toy@b * FID * 100.0 ± 1.0 * 130.0 ± 1.0 *",
            "*failed: nothing was compared, 1 no baseline.",
            "genbench_check: no suite named 'mime'",
            "hint: did you mean mine?",
            "genbench_check: nowhere: no such file or folder*",
        ]
    )


def test_the_plugin_loads_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import sys\ndef test_modules():\n    assert not {'torch', 'numpy', 'duckdb', 'pydantic'} & set(sys.modules)\n"
    )
    pytester.runpytest_subprocess(*PLUGIN).assert_outcomes(passed=1)
