"""The answer of a check: as a table, as a job's summary, as JUnit XML, as JSON."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

from genbench.comparisons.check import Check
from genbench.comparisons.gates import GateResult, Outcome
from genbench.report.comparison import needed, signed
from genbench.report.labels import ARROWS, metric_label
from genbench.report.tables import Text, cell, markdown, uncertain
from genbench.store import Rows

COLUMNS = (
    "run",
    "metric",
    "verdict",
    "baseline",
    "baseline_stderr",
    "value",
    "stderr",
    "difference",
    "difference_stderr",
    "paired",
    "factor",
    "margin",
    "n",
    "n_needed",
    "reason",
)


def rows(check: Check) -> Rows:
    """A row a run and gate, with every digit."""
    return Rows(COLUMNS, [_row(result) for result in check.results])


def _row(result: GateResult) -> tuple[Any, ...]:
    compared, speed = result.compared, result.speed
    head = (result.run, result.metric, result.outcome.value)
    if speed is not None:
        before, now = max(speed.baseline), min(speed.measured)
        measured: tuple[Any, ...] = (before, None, now, None, now - before, None, None, result.factor, None, None, None)
    elif compared is None:
        measured = (None, None, None, None, None, None, None, result.factor, None, None, None)
    else:
        one, other = compared.one, compared.other
        measured = (
            *(one.value, one.stderr, other.value, other.stderr, *compared.difference),
            *(result.factor, compared.margin, other.n, compared.judgement.needed),
        )
    return (*head, *measured, speed.hardware if speed else result.reason)


def text(check: Check) -> Text:
    """A row a run and gate, the gravest first, and what the verdicts mean."""
    headings = ("verdict", "run", "metric", "baseline", "now", "difference", "allowed", "n needed", "remark")
    order = list(Outcome)
    ordered = sorted(check.results, key=lambda result: order.index(result.outcome))
    return Text(headings, tuple(map(_cells, ordered)), (sentence(check), _meaning(check)))


def _cells(result: GateResult) -> tuple[str, ...]:
    compared, speed, allowed = result.compared, result.speed, f"x{result.factor:g}"
    if speed is not None:
        shown = ("s/image ↓", _range(speed.baseline), _range(speed.measured), "", allowed, "", speed.hardware)
    elif compared is None:
        shown = (metric_label(result.metric), "", "", "", allowed, "", result.reason or "")
    else:
        images = f"{'paired' if compared.difference.paired else 'independent'}, n {compared.other.n:,}"
        shown = (
            f"{metric_label(result.metric)} {ARROWS[compared.direction]}",
            uncertain(compared.one.value, compared.one.stderr),
            uncertain(compared.other.value, compared.other.stderr),
            signed(compared.difference),
            f"{compared.margin:.3g}",
            needed(compared.judgement.needed),
            images,
        )
    return (result.outcome.value, cell(result.run), *shown)


def _range(seconds: tuple[float, float]) -> str:
    least, most = (f"{value:.2g}" for value in seconds)
    return least if least == most else f"{least} to {most}"


def sentence(check: Check) -> str:
    """The answer in a line."""
    counts = [
        f"{count} {outcome.value}"
        for outcome in Outcome
        if (count := sum(result.outcome is outcome for result in check.results))
    ]
    said = f"Check of suite {check.suite} against {cell(check.baseline)}"
    if all(result.outcome is Outcome.NO_BASELINE for result in check.results):
        return f"{said}{' failed' if check.failed else ''}: nothing was compared, {', '.join(counts)}."
    return f"{said} {'failed' if check.failed else 'passed'}: {', '.join(counts)}."


def _meaning(check: Check) -> str:
    strict = " With --strict, what is inconclusive, or has no error bar or baseline, fails too." if check.strict else ""
    return (
        "Worse: by more than is allowed, and its interval leaves 0 out. Same: the whole interval is within what is "
        "allowed. Inconclusive: neither; the images (a side) that would settle it, should the difference stay, are "
        f"given. No error bar: a value has no standard error, so nothing can be said.{strict}"
    )


def summary(check: Check) -> str:
    """Markdown for a job's summary or a comment."""
    headings, cells, notes = text(check)
    return f"### genbench: {check.verdict.value}\n\n" + markdown(headings, cells, notes)


def as_json(check: Check) -> str:
    """One object: what was asked, the verdict, and a list of gates under the columns of `rows`."""
    columns, found = rows(check)
    answer = {
        "suite": check.suite,
        "baseline": check.baseline,
        "strict": check.strict,
        "verdict": check.verdict.value,
        "passed": not check.failed,
        "gates": [dict(zip(columns, row, strict=True)) for row in found],
    }
    return json.dumps(answer, indent=1, ensure_ascii=False) + "\n"


def junit(check: Check) -> str:
    """JUnit XML: a test case a run and gate; what fails the check is a failure, what says nothing is skipped."""
    failed = check.failed
    silent = {Outcome.INCONCLUSIVE, Outcome.NO_ERROR_BAR, Outcome.NO_BASELINE}
    skipped = [result for result in check.results if result not in failed and result.outcome in silent]
    suite = ElementTree.Element(
        "testsuite",
        name=f"genbench check {check.suite}",
        tests=str(len(check.results)),
        failures=str(len(failed)),
        skipped=str(len(skipped)),
    )
    for result in check.results:
        case = ElementTree.SubElement(suite, "testcase", classname=_printable(result.run), name=result.metric)
        _, _, *shown = _cells(result)
        said = _printable(" | ".join(filter(None, (result.outcome.value, *shown))))
        if result in failed:
            ElementTree.SubElement(case, "failure", message=said)
        elif result in skipped:
            ElementTree.SubElement(case, "skipped", message=said)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _printable(name: str) -> str:
    """XML has no place for control characters."""
    return cell(name)
