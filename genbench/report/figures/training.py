"""Training curves: the value of checkpoints of one training against the epochs they have seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import SERIES, Ink, Record, legend, panels
from genbench.report.figures.chart import Chart
from genbench.report.labels import metric_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows of the view `training_curve` of one metric, in order of training, preset and epochs."""
    figure, (axis,) = panels(ink, [2.6])
    curves = groupby(rows, key=lambda row: (row["training"], row["preset"]))
    for place, ((training, preset), group) in enumerate(curves):
        points = list(group)
        color = ink.theme.series[place] if place < SERIES else ink.theme.muted
        axis.errorbar(
            [row["epochs"] for row in points], [row["value"] for row in points],
            yerr=[row["stderr"] or 0 for row in points],
            color=color, marker="o", capsize=2, label=f"{training}@{preset}",
        )  # fmt: skip
    axis.set_xlabel("epochs")
    axis.set_ylabel(metric_label(rows[0]["metric"]))
    legend(figure, axis, ink)
    return figure


CHART = Chart(
    name="training-curves",
    title="Training curves",
    reading="Checkpoints of one training, sampled alike. Bars are one standard error.",
    sql="""
SELECT training, preset, epochs, variant, metric, n, value, stderr
FROM training_curve
WHERE suite = {suite} AND precision = {precision} AND is_current AND metric = {metric} AND n = {n}
ORDER BY training, preset, epochs
""",
    draw=draw,
    missing="No two measured variants are checkpoints of one training: give them training and epochs in their card, "
    "then genbench run {suite} -m 'VARIANT-*'",
    enough=lambda rows: len({row["epochs"] for row in rows}) > 1,
)
