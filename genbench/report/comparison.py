"""Two runs side by side as text: each metric's difference with its verdict, and the classes that moved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from genbench.comparisons.between import Distance
from genbench.comparisons.compare import Comparison, MetricComparison
from genbench.comparisons.significance import Difference
from genbench.report.labels import ARROWS, metric_label
from genbench.report.tables import Text, cell, uncertain
from genbench.store import Rows

METRIC_COLUMNS = (
    "metric",
    "version",
    "direction",
    "n",
    "blocks",
    "value",
    "stderr",
    "other_value",
    "other_stderr",
    "difference",
    "difference_stderr",
    "paired",
    "margin",
    "verdict",
    "n_needed",
)
CLASS_COLUMNS = (
    "metric",
    "label",
    "name",
    "contribution",
    "other_contribution",
    "difference",
    "difference_stderr",
    "paired",
    "moved",
)


def metric_rows(comparison: Comparison) -> Rows:
    """A row a metric, with every digit."""
    return Rows(METRIC_COLUMNS, [_metric_row(compared) for compared in comparison.metrics])


def _metric_row(compared: MetricComparison) -> tuple[Any, ...]:
    return (
        *compared.metric,
        compared.direction,
        compared.one.n,
        compared.blocks,
        compared.one.value,
        compared.one.stderr,
        compared.other.value,
        compared.other.stderr,
        *compared.difference,
        compared.margin,
        compared.judgement.verdict.value,
        compared.judgement.needed,
    )


def class_rows(comparison: Comparison) -> Rows:
    """A row a Fréchet distance and class, with every digit."""
    rows = [(c.metric, c.label, c.name, c.one, c.other, *c.difference, c.moved) for c in comparison.classes]
    return Rows(CLASS_COLUMNS, rows)


def metric_text(comparison: Comparison, factor: float, confidence: float) -> Text:
    """A row a metric, rounded to its uncertainty; below it what the verdicts mean and which classes moved."""
    names = comparison.one.name, comparison.other.name
    headings = ("metric", *names, "difference", "images", "verdict", "n needed")
    cells = [
        (
            f"{metric_label(compared.metric.metric)} {ARROWS[compared.direction]}",
            uncertain(compared.one.value, compared.one.stderr),
            uncertain(compared.other.value, compared.other.stderr),
            signed(compared.difference),
            _images(compared),
            compared.judgement.verdict.value,
            needed(compared.judgement.needed),
        )
        for compared in comparison.metrics
    ]
    return Text(headings, tuple(cells), tuple(_notes(comparison, factor, confidence)))


def class_text(comparison: Comparison) -> Text:
    """A row a Fréchet distance and class, those that moved first."""
    headings = ("metric", "class", comparison.one.name, comparison.other.name, "difference", "moved")
    cells = [
        (
            metric_label(c.metric),
            _class(c.name, c.label),
            cell(c.one),
            cell(c.other),
            signed(c.difference),
            cell(c.moved),
        )
        for c in comparison.classes
    ]
    note = (
        "A class's contribution is the mean influence of its images on the distance: above 0 it makes the distance "
        "worse. Moved: the difference is significant with all classes looked at."
    )
    return Text(headings, tuple(cells), (note,))


def distance_text(comparison: Comparison, distances: Sequence[Distance]) -> Text:
    """A row a Fréchet distance and seed block."""
    headings = ("metric", "block", "distance", "images")
    cells = [(metric_label(d.metric), cell(d.block), uncertain(d.value, d.stderr), cell(d.n)) for d in distances]
    note = f"Of the images of {comparison.other.name} to those of {comparison.one.name}; no reference takes part."
    return Text(headings, tuple(cells), (note,))


def distance_rows(distances: Sequence[Distance]) -> Rows:
    """A row a Fréchet distance and seed block, with every digit."""
    return Rows(Distance._fields, [tuple(distance) for distance in distances])


def signed(difference: Difference) -> str:
    """A difference with its sign and standard error."""
    text = uncertain(difference.value, difference.stderr)
    return text if difference.value < 0 or difference.value == 0 else f"+{text}"


def needed(images: int | None) -> str:
    """A number of images to two digits, rounded up."""
    if images is None:
        return ""
    unit = 10 ** max(len(str(images)) - 2, 0)
    return f"{math.ceil(images / unit) * unit:,}"


def _class(name: str | None, number: int) -> str:
    return cell(name) if name is not None else str(number)


def _images(compared: MetricComparison) -> str:
    blocks = f"{compared.blocks} blocks of " if compared.blocks > 1 else ""
    return f"{blocks}{compared.one.n:,} {'paired' if compared.difference.paired else 'independent'}"


def _notes(comparison: Comparison, factor: float, confidence: float) -> list[str]:
    one, other = comparison.one.name, comparison.other.name
    notes = [
        f"Verdicts are of {other} beside {one}: better or worse where the difference exceeds {factor - 1:.3g} of "
        f"{one}'s value and its {confidence:.3g} interval leaves 0 out; same where the whole interval lies within that "
        "share; inconclusive otherwise, with the images (a side) that would settle it, should the difference stay.",
        "Paired: images of one seed are compared with each other, by each image's influence on the distance. "
        "Independent: these are not known here, and the error takes the two sides for unrelated.",
    ]
    if any(compared.difference.stderr is None for compared in comparison.metrics):
        notes.append("No error bar: a difference without a standard error (±) has no verdict.")
    return [*notes, *_moved(comparison)]


def _moved(comparison: Comparison) -> list[str]:
    by_metric: dict[str, list[str]] = {}
    for c in comparison.classes:
        if c.moved:
            by_metric.setdefault(c.metric, []).append(f"{_class(c.name, c.label)} {signed(c.difference)}")
    return [f"Classes that moved in {metric_label(metric)}: {_listed(found)}." for metric, found in by_metric.items()]


def _listed(found: Sequence[str], most: int = 8) -> str:
    rest = len(found) - most
    return "; ".join(found[:most]) + (f"; and {rest} more" if rest > 0 else "")
