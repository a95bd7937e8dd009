"""The Fréchet distance against the number of images: it is biased upwards by about 1/n (Chong and Forsyth 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import Ink, Record, legend, panels, plain_ticks
from genbench.report.figures.chart import Chart
from genbench.report.labels import metric_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows ``metric, run, n, value, stderr`` in order of metric, run and n; a panel a metric."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    figure, axes = panels(ink, [2.2] * len(metrics))
    for metric, axis in zip(metrics, axes, strict=True):
        of_metric = [row for row in rows if row["metric"] == metric]
        for run, group in groupby(of_metric, key=lambda row: row["run"]):
            points = list(group)
            color, marker, line = ink.style(run)
            axis.errorbar(
                [row["n"] for row in points], [row["value"] for row in points],
                yerr=[row["stderr"] or 0 for row in points],
                color=color, marker=marker, linestyle=line, capsize=2, label=ink.label(run),
            )  # fmt: skip
        axis.set_xscale("log")
        plain_ticks(axis.xaxis, [row["n"] for row in of_metric])
        axis.set_ylabel(metric_label(metric))
    axes[-1].set_xlabel("images")
    legend(figure, axes[0], ink)
    return figure


CHART = Chart(
    name="fd-against-n",
    title="Fréchet distance against images",
    reading="The same runs measured on fewer images: on average the distance falls with n by its bias alone, so rows "
    "with another n are never compared. Bars are one standard error.",
    sql="""
WITH latest AS (
    SELECT
        board.run,
        metric,
        measurements.n,
        block,
        arg_max(value, record_id) AS value,
        arg_max(stderr, record_id) AS stderr
    FROM runs
    JOIN measurements USING (record_id)
    JOIN (
        SELECT DISTINCT run, run_digest, suite_digest
        FROM leaderboard
        WHERE suite = {suite} AND precision = {precision} AND is_current
    ) AS board ON (board.suite_digest, board.run, board.run_digest)
        = (runs.suite_digest, coalesce(runs.run, images_source), coalesce(runs.run_digest, images_digest))
    WHERE metric LIKE 'fd@%'
    GROUP BY ALL
)
SELECT
    metric,
    run,
    n,
    avg(value) AS value,
    sqrt(sum(stderr * stderr)) / count(*) AS stderr,
    count(*) AS blocks
FROM latest
GROUP BY metric, run, n
QUALIFY count(*) OVER (PARTITION BY metric, run) > 1
ORDER BY metric, run, n
""",
    draw=draw,
    missing="Only one number of images is measured; a smoke run adds a point: genbench run {suite} --limit {half}",
)
