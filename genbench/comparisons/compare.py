"""Two runs by name: what differs, whether it is real and matters, and which classes moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from genbench.comparisons.differences import common_blocks, difference, independent, mean
from genbench.comparisons.influences import ClassDifference, Influences
from genbench.comparisons.measured import Measured, MetricKey, Value, load
from genbench.comparisons.protocols import differing_parts
from genbench.comparisons.significance import (
    CONFIDENCE,
    FACTOR,
    Difference,
    Direction,
    Judgement,
    is_significant,
    judge,
    practical_margin,
)
from genbench.errors import UsageError, unknown
from genbench.store import Store


class MetricComparison(NamedTuple):
    """One metric of two runs."""

    metric: MetricKey
    direction: Direction
    one: Value
    """Mean over the seed blocks that both have."""
    other: Value
    blocks: int
    """Seed blocks compared; 0 where the runs share none, and their means were compared."""
    difference: Difference
    """`other` less `one`."""
    margin: float
    """The smallest difference that matters, in the metric's unit."""
    judgement: Judgement
    """Of `other` beside `one`."""


class ClassComparison(NamedTuple):
    """What one class does to a Fréchet distance in two runs (see the table `class_contributions`)."""

    metric: str
    label: int
    name: str | None
    one: float
    """Contribution in the first run, mean over the seed blocks that both have."""
    other: float
    difference: Difference
    moved: bool
    """Whether the difference is significant, all classes of the metric being looked at (Bonferroni)."""


class Comparison(NamedTuple):
    """Two runs beside each other."""

    one: Measured
    other: Measured
    metrics: tuple[MetricComparison, ...]
    classes: tuple[ClassComparison, ...]
    """Every class of every Fréchet distance, those that moved most first."""


def compare(
    store: Store,
    one: str,
    other: str,
    *,
    suite: str | None = None,
    precision: str | None = None,
    cache: Path | None = None,
    factor: float = FACTOR,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare `other` with `one`, each the name of a run, a path that was scored, or the id of a record.

    Args:
        store: where the results are.
        one: the first run.
        other: the second run; verdicts are of it.
        suite: where both were measured under several.
        precision: of the features, where both were measured with both.
        cache: folder below which each image's influence lies, for pairing; none: all errors are independent ones.
        factor: how much larger the one value must be than the other before the difference matters.
        confidence: of intervals.

    Raises `UsageError` for names that are not known, for runs without a protocol in common (saying which part
    differs), and for runs with several.
    """
    first, second = _pair(_candidates(store, one, suite, precision), _candidates(store, other, suite, precision))
    shared = [key for key in first.values if key in second.values]
    if not shared:
        raise UsageError(f"{one} and {other} have no metric in common", hint="`genbench show run NAME` lists them")
    influences = Influences(cache)
    compared = [compare_metric(first, second, key, influences, factor=factor, confidence=confidence) for key in shared]
    classes = _classes(store, first, second, shared, influences, confidence)
    return Comparison(first, second, tuple(compared), tuple(classes))


def compare_metric(
    one: Measured,
    other: Measured,
    metric: MetricKey,
    influences: Influences,
    *,
    factor: float = FACTOR,
    margin: float = 0.0,
    confidence: float = CONFIDENCE,
) -> MetricComparison:
    """One metric that both runs have; what matters is at least `margin`, in the metric's unit, and `factor`."""
    blocks = common_blocks(one, other, metric)
    first, second = (
        mean(side.values[metric][b] for b in blocks or sorted(side.values[metric])) for side in (one, other)
    )
    found = difference(one, other, metric, influences)
    matters = max(margin, practical_margin(first.value, factor))
    direction = one.directions[metric]
    verdict = judge(found, direction, matters, first.n, confidence)
    return MetricComparison(metric, direction, first, second, len(blocks), found, matters, verdict)


def _candidates(store: Store, name: str, suite: str | None, precision: str | None) -> list[Measured]:
    """Everything that was measured under that name, the latest first."""
    record = Path(name).stem if name.endswith(".json") else name
    ids = store.query(
        "SELECT record_id FROM runs WHERE record_id = ? UNION "
        "SELECT record_id FROM counted WHERE run = ? UNION "
        "(SELECT record_id FROM runs WHERE suite IS NULL AND images_source = ? ORDER BY created DESC LIMIT 1)",
        [record, name, name],
    ).rows
    if not ids:
        raise _unknown_run(store, name)
    found = [
        run
        for run in load(store, [record_id for (record_id,) in ids])
        if suite in {None, run.protocol.suite} and precision in {None, run.protocol.precision}
    ]
    if not found:
        asked = f" under suite {suite}" if suite else ""
        raise UsageError(
            f"{name} was not measured{asked}" + (f" with {precision} features" if precision else ""),
            hint="`genbench list runs` shows what was measured",
        )
    return sorted(found, key=lambda run: max(block.created for block in run.blocks.values()), reverse=True)


def _unknown_run(store: Store, name: str) -> UsageError:
    limited = store.query(
        "SELECT record_id FROM runs WHERE limited AND coalesce(run, images_source) = ? ORDER BY created DESC LIMIT 1",
        [name],
    ).rows
    if limited:
        return UsageError(
            f"{name} was measured with --limit only", hint=f"name its record to compare it: {limited[0][0]}"
        )
    known = [str(run) for (run,) in store.query("SELECT DISTINCT coalesce(run, images_source) FROM runs").rows]
    return unknown("run or record", name, known, lister="genbench list runs")


def _pair(ones: Sequence[Measured], others: Sequence[Measured]) -> tuple[Measured, Measured]:
    """The latest two of one protocol."""
    pairs = [(one, other) for one in ones for other in others if not differing_parts(one, other)]
    if not pairs:
        one, other = next(
            ((a, b) for a in ones for b in others if a.protocol.suite == b.protocol.suite), (ones[0], others[0])
        )
        raise UsageError(
            f"{one.name} and {other.name} cannot be compared: {'; '.join(differing_parts(one, other))}",
            hint="measure both under one suite: `genbench run SUITE -m RUN`, or `genbench score PATH --suite SUITE`",
        )
    protocols = sorted({(one.protocol.suite or "no suite", one.protocol.precision) for one, _ in pairs})
    if len(protocols) > 1:
        named = " and ".join(f"{suite} ({precision})" for suite, precision in protocols)
        raise UsageError(
            f"{pairs[0][0].name} and {pairs[0][1].name} were both measured under {named}",
            hint=f"choose with --suite {protocols[0][0]} --precision {protocols[0][1]}",
        )
    return pairs[0]


def _classes(
    store: Store,
    one: Measured,
    other: Measured,
    metrics: Sequence[MetricKey],
    influences: Influences,
    confidence: float,
) -> list[ClassComparison]:
    found = []
    for metric in metrics:
        blocks = common_blocks(one, other, metric)
        sides = [_contributions(store, side, metric.metric, blocks) for side in (one, other)]
        labels = sorted(sides[0].keys() & sides[1].keys())
        paired = [influences.paired_classes(metric.metric, one.blocks[b], other.blocks[b]) for b in blocks]
        each = 1 - (1 - confidence) / max(len(labels), 1)
        for label in labels:
            (name, first), (_, second) = sides[0][label], sides[1][label]
            change = _class_difference(first, second, [None if p is None else p.get(label) for p in paired])
            moved = is_significant(change.value, change.stderr, each)
            found.append(ClassComparison(metric.metric, label, name, first.value, second.value, change, moved))
    return sorted(found, key=lambda c: (not c.moved, -abs(c.difference.value), c.metric, c.label))


def _contributions(
    store: Store, run: Measured, metric: str, blocks: Sequence[int]
) -> dict[int, tuple[str | None, Value]]:
    """Name and contribution of each class that was generated in all of the blocks, mean over them."""
    rows = store.query(
        "SELECT label, name, contribution, stderr, n FROM class_contributions "
        "WHERE metric = ? AND record_id IN (SELECT unnest(?::VARCHAR[])) ORDER BY label, record_id",
        [metric, [run.blocks[block].record_id for block in blocks]],
    ).rows
    by_label: dict[int, list[Value]] = {}
    for label, _, *value in rows:
        by_label.setdefault(label, []).append(Value(*value))
    names = {label: name for label, name, *_ in rows}
    return {label: (names[label], mean(found)) for label, found in by_label.items() if len(found) == len(blocks)}


def _class_difference(one: Value, other: Value, paired: Sequence[ClassDifference | None]) -> Difference:
    known = [found for found in paired if found is not None]
    if known and len(known) == len(paired):
        change = mean(Value(found.value, found.stderr, 0) for found in known)
        return Difference(change.value, change.stderr, paired=True)
    return independent(one, other)
