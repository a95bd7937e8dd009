"""Quality against cost: which runs give the best value for so many network evaluations, or seconds, an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import Ink, Record, legend, panels, plain_ticks
from genbench.report.figures.chart import Chart
from genbench.report.labels import metric_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COSTS = {"nfe": "network evaluations an image", "seconds_per_image": "seconds an image, sampling alone"}

_DECADE = 10
"""Times the least value: where values reach so far, the best ones would lie on top of each other on a linear axis."""


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows of the view `pareto` of one metric; a panel a kind of cost. Runs on a front are named, however many are
    better."""
    ink = replace(ink, prominent=frozenset(row["run"] for row in rows if row["on_front"]))
    kinds = [kind for kind in _COSTS if any(row["cost_kind"] == kind for row in rows)]
    figure, axes = panels(ink, [2.3] * len(kinds))
    for kind, axis in zip(kinds, axes, strict=True):
        _panel(axis, [row for row in rows if row["cost_kind"] == kind], ink)
        axis.set_xlabel(_COSTS[kind])
    legend(figure, axes[0], ink)
    return figure


def _panel(axis: Axes, rows: Sequence[Record], ink: Ink) -> None:
    for device in sorted({row["device"] or "" for row in rows}):
        front = sorted(
            (row["cost"], row["value"]) for row in rows if row["on_front"] and (row["device"] or "") == device
        )
        axis.plot(*zip(*front, strict=True), color=ink.theme.muted, drawstyle="steps-post", linestyle=":", zorder=1)
    for row in rows:
        color, marker, _ = ink.style(row["run"])
        axis.errorbar(
            row["cost"], row["value"], yerr=row["stderr"] or 0, color=color, marker=marker, linestyle="",
            capsize=2, label=ink.label(row["run"]), markerfacecolor=color if row["on_front"] else "none",
        )  # fmt: skip
    axis.set_ylabel(metric_label(rows[0]["metric"]))
    axis.set_xscale("log")
    plain_ticks(axis.xaxis, [row["cost"] for row in rows])
    values = [row["value"] for row in rows]
    if 0 < _DECADE * min(values) < max(values):
        axis.set_yscale("log")
        plain_ticks(axis.yaxis, values)


CHART = Chart(
    name="quality-cost",
    title="Quality against cost",
    reading="Filled points are on the front: no other run has a value as good at a lower cost. Bars are one standard "
    "error; seconds compare only on one device.",
    sql="""
SELECT run, metric, n, cost_kind, device, cost, value, stderr, on_front
FROM pareto
WHERE suite = {suite} AND precision = {precision} AND is_current AND metric = {metric} AND n = {n}
ORDER BY cost_kind, cost, run
""",
    draw=draw,
    missing="Sampled runs have costs: genbench run {suite}",
)
