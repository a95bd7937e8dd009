"""What `genbench check` says of its gates: the line, the table, JUnit XML and JSON."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from genbench.comparisons.check import Check
from genbench.comparisons.gates import GateResult, Outcome
from genbench.report.gates import as_json, junit, sentence, summary

FD = "fd@inception-tf"


def answer(*outcomes: Outcome, strict: bool = False) -> Check:
    return Check("quick", "main", strict, tuple(GateResult("toy@a", FD, 1.1, outcome) for outcome in outcomes))


@pytest.mark.parametrize(
    ("strict", "said"),
    [
        (False, "Check of suite quick against main: nothing was compared, 2 no baseline."),
        (True, "Check of suite quick against main failed: nothing was compared, 2 no baseline."),
    ],
)
def test_a_check_without_any_baseline_has_not_passed(strict: bool, said: str) -> None:
    check = answer(Outcome.NO_BASELINE, Outcome.NO_BASELINE, strict=strict)
    assert sentence(check) == said
    assert said in summary(check)


@pytest.mark.parametrize(("strict", "counts"), [(False, ("0", "1")), (True, ("1", "0"))])
def test_a_gate_without_an_error_bar_is_skipped_unless_strict(strict: bool, counts: tuple[str, str]) -> None:
    check = answer(Outcome.NO_ERROR_BAR, Outcome.SAME, strict=strict)
    suite = ElementTree.fromstring(junit(check))
    assert (suite.get("failures"), suite.get("skipped")) == counts
    assert bool(check.failed) is strict
    assert json.loads(as_json(check))["verdict"] == check.verdict.value == "no error bar"
    assert "1 no error bar, 1 same." in sentence(check)


def test_a_check_with_some_baseline_passes() -> None:
    said = sentence(answer(Outcome.NO_BASELINE, Outcome.SAME))
    assert said == "Check of suite quick against main passed: 1 no baseline, 1 same."
