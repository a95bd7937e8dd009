"""Training curves: the value of checkpoints of one training against the epochs they have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import Ink, Record, Style, legend, panels, shortened
from genbench.report.figures.chart import Chart
from genbench.report.labels import metric_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows of the view `training_curve` of one metric, in order of training, preset and epochs."""
    figure, (axis,) = panels(ink, [2.6])
    curves = {key: list(group) for key, group in groupby(rows, key=lambda row: (row["training"], row["preset"]))}
    looks = _looks([[f"{row['variant']}@{preset}" for row in points] for (_, preset), points in curves.items()], ink)
    for ((training, preset), points), (color, marker, line) in zip(curves.items(), looks, strict=True):
        axis.errorbar(
            [row["epochs"] for row in points], [row["value"] for row in points],
            yerr=[row["stderr"] or 0 for row in points],
            color=color, marker=marker, linestyle=line, capsize=2, label=shortened(f"{training}@{preset}"),
        )  # fmt: skip
    axis.set_xlabel("epochs")
    axis.set_ylabel(metric_label(rows[0]["metric"]))
    legend(figure, axis, ink)
    return figure


def _looks(curves: Sequence[Sequence[str]], ink: Ink) -> list[Style]:
    """Of each curve, the look that its best run has in other figures; in another colour where a curve has that one."""
    places = {run: place for place, run in enumerate(ink.runs)}
    best = [min(runs, key=lambda run: places.get(run, len(places))) for runs in curves]
    looks = [replace(ink, prominent=frozenset(best)).style(run) for run in best]
    free = [color for color in ink.theme.series if color not in {look.color for look in looks}]
    taken: set[str] = set()
    for number, look in enumerate(looks):
        if look.color in taken and free:
            looks[number] = look._replace(color=free.pop(0))
        taken.add(look.color)
    return looks


CHART = Chart(
    name="training-curves",
    title="Training curves",
    reading="Checkpoints of one training, sampled alike. Bars are one standard error.",
    sql="""
SELECT training, preset, epochs, variant, metric, n, value, stderr
FROM training_curve
WHERE suite = {suite} AND precision = {precision} AND is_current AND metric = {metric} AND n = {n}
QUALIFY min(epochs) OVER (PARTITION BY training, preset) < max(epochs) OVER (PARTITION BY training, preset)
ORDER BY training, preset, epochs
""",
    draw=draw,
    missing="No two measured variants are checkpoints of one training: give them training and epochs in their card, "
    "then genbench run {suite} -m 'VARIANT-*'",
)
