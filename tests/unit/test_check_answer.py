"""What `genbench check` says of its gates: the line, the table, JUnit XML and JSON."""

from __future__ import annotations

import pytest

from genbench.comparisons.check import Check
from genbench.comparisons.gates import GateResult, Outcome
from genbench.report.gates import sentence, summary

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


def test_a_check_with_some_baseline_passes() -> None:
    said = sentence(answer(Outcome.NO_BASELINE, Outcome.SAME))
    assert said == "Check of suite quick against main passed: 1 no baseline, 1 same."
