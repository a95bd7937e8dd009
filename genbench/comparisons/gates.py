"""A suite's gates: each run's results against a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from genbench.comparisons.compare import MetricComparison, compare_metric
from genbench.comparisons.influences import Influences
from genbench.comparisons.measured import Measured, MetricKey, load
from genbench.comparisons.protocols import differing_parts
from genbench.comparisons.significance import CONFIDENCE, Verdict
from genbench.errors import UsageError, unknown
from genbench.metrics.catalog import parse
from genbench.store import Store
from genbench.suites import Gate

THROUGHPUT = "seconds_per_image"


class Outcome(StrEnum):
    """What a gate says of a run, the gravest first."""

    WORSE = "worse"
    INCONCLUSIVE = "inconclusive"
    NO_ERROR_BAR = "no error bar"
    NO_BASELINE = "no baseline"
    SAME = "same"
    BETTER = "better"


class Speed(NamedTuple):
    """Seconds an image on one machine: the fastest and the slowest record of either side."""

    baseline: tuple[float, float]
    measured: tuple[float, float]
    hardware: str


class GateResult(NamedTuple):
    """One gate of one run."""

    run: str
    metric: str
    """``statistic@space``, or ``seconds_per_image``."""
    factor: float
    outcome: Outcome
    compared: MetricComparison | None = None
    """None without a baseline, and for seconds an image."""
    speed: Speed | None = None
    reason: str | None = None
    """Why there is no baseline."""


def failing(results: Sequence[GateResult], *, strict: bool) -> list[GateResult]:
    """The results that fail a check: those that are worse; strictly, also those that nothing can be said of."""
    grave = {Outcome.WORSE, *((Outcome.INCONCLUSIVE, Outcome.NO_ERROR_BAR, Outcome.NO_BASELINE) if strict else ())}
    return [result for result in results if result.outcome in grave]


def hold(
    store: Store,
    baseline: Store,
    suite: str,
    gates: Sequence[Gate],
    *,
    runs: str = "*",
    precision: str = "exact",
    cache: Path | None = None,
    confidence: float = CONFIDENCE,
) -> list[GateResult]:
    """Hold what was measured under a suite against a baseline, gate by gate and run by run.

    Runs, those whose name fits the glob `runs`, are matched by name, under one protocol; `cache` is the folder below
    which each image's influence lies.

    Raises `UsageError` when nothing was measured, there are no gates, or a gate names a metric or a run that is not
    there.
    """
    if not gates:
        raise UsageError(f"suite {suite} has no gates", hint="add [[gates]] to its file, or name some: --gate fid=1.05")
    everything = _counted(store, suite, precision, only_current=True)
    measured = [run for run in everything if fnmatchcase(run.name, runs)]
    if not measured:
        what = f"suite {suite}" if runs == "*" else f"{runs} under suite {suite}"
        raise UsageError(f"{store.file.parent}: no results of {what}", hint=f"`genbench run {suite}`")
    earlier: dict[str, list[Measured]] = {}
    for run in _counted(baseline, suite, precision):
        earlier.setdefault(run.name, []).append(run)
    influences = Influences(cache)
    results: list[GateResult] = []
    for gate in gates:
        metric = gate.metric if gate.metric == THROUGHPUT else parse(gate.metric).id
        chosen = [run for run in measured if fnmatchcase(run.name, gate.runs)]
        if not any(fnmatchcase(run.name, gate.runs) for run in everything):
            raise unknown("run", gate.runs, {run.name for run in everything}, where=f"the results of suite {suite}")
        if not chosen:
            continue
        if metric == THROUGHPUT:
            results += [_throughput(run, gate, baseline) for run in chosen]
            continue
        having = [run for run in chosen if _key(run, metric) is not None]
        if not having:
            raise unknown("metric", metric, _metrics(measured), where=f"the results of suite {suite} ({gate.runs})")
        results += [_quality(run, metric, gate, earlier.get(run.name, []), influences, confidence) for run in having]
    if not results:
        raise UsageError(f"no gate of suite {suite} is of {runs}", hint="name one: --gate fid=1.05")
    return results


def _counted(store: Store, suite: str, precision: str, *, only_current: bool = False) -> list[Measured]:
    """Every run that counts, of any digest of the suite or of its current one; the latest protocol of a run first."""
    ids = store.query(
        "SELECT record_id FROM counted WHERE suite = ? AND precision = ? AND (is_current OR NOT ?)",
        [suite, precision, only_current],
    ).rows
    runs = load(store, [record_id for (record_id,) in ids])
    return sorted(runs, key=lambda run: max(block.created for block in run.blocks.values()), reverse=True)


def _metrics(runs: Sequence[Measured]) -> set[str]:
    return {key.metric for run in runs for key in run.values}


def _key(run: Measured, metric: str) -> MetricKey | None:
    return next((key for key in run.values if key.metric == metric), None)


def _quality(
    run: Measured, metric: str, gate: Gate, earlier: Sequence[Measured], influences: Influences, confidence: float
) -> GateResult:
    key = _key(run, metric)
    baseline = next((other for other in earlier if not differing_parts(other, run)), None)
    if baseline is None or key is None or key not in baseline.values:
        return GateResult(run.name, metric, gate.factor, Outcome.NO_BASELINE, reason=_why(run, metric, earlier))
    compared = compare_metric(
        baseline, run, key, influences, factor=gate.factor, margin=gate.margin, confidence=confidence
    )
    return GateResult(run.name, metric, gate.factor, Outcome(compared.judgement.verdict.value), compared)


def _why(run: Measured, metric: str, earlier: Sequence[Measured]) -> str:
    """Why a run has no baseline."""
    if not earlier:
        return "the baseline does not have this run"
    parts = differing_parts(earlier[0], run)
    return f"the baseline differs in {'; '.join(parts)}" if parts else f"the baseline does not have {metric}"


def _throughput(run: Measured, gate: Gate, baseline: Store) -> GateResult:
    """Whether a run became slower, by the slowest and fastest records on the same hardware.

    Seconds have no standard error: worse is what is slower than everything before, better what is faster.
    """
    latest = max(run.blocks.values(), key=lambda block: block.created)
    hardware = latest.processor if latest.device == "cpu" else latest.device
    seconds = [
        block.seconds_per_image
        for block in run.blocks.values()
        if block.seconds_per_image is not None and (block.device, block.processor) == (latest.device, latest.processor)
    ]
    rows = baseline.query(
        "SELECT seconds_per_image FROM runs JOIN costs USING (record_id) WHERE run = ? AND NOT limited "
        "AND device = ? AND (processor = ? OR device <> 'cpu') AND seconds_per_image IS NOT NULL",
        [run.name, latest.device, latest.processor],
    ).rows
    before = [value for (value,) in rows]
    result = GateResult(run.name, THROUGHPUT, gate.factor, Outcome.NO_BASELINE)
    if not seconds or not before:
        whose = "this run does not know" if not seconds else "the baseline has no record of this run on"
        return result._replace(reason=f"{whose} {'its seconds' if not seconds else hardware}")
    speed = Speed((min(before), max(before)), (min(seconds), max(seconds)), hardware)
    return result._replace(outcome=Outcome(_faster_or_slower(speed, gate).value), speed=speed)


def _faster_or_slower(speed: Speed, gate: Gate) -> Verdict:
    (fastest_before, slowest_before), (fastest, slowest) = speed.baseline, speed.measured
    longest = max(slowest_before * gate.factor, slowest_before + gate.margin)
    shortest = min(fastest_before / gate.factor, fastest_before - gate.margin)
    if fastest > longest:
        return Verdict.WORSE
    if slowest < shortest:
        return Verdict.BETTER
    return Verdict.SAME if slowest <= longest and fastest >= shortest else Verdict.INCONCLUSIVE
