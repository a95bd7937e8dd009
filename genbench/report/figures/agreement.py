"""Do metrics order the runs alike? Spearman's rank correlation of each two of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import Ink, Record
from genbench.report.figures.chart import Chart
from genbench.report.figures.heat import heat_map
from genbench.report.labels import metric_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROOMY = 6
"""Metrics up to which a cell has room for two decimals."""


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows ``metric, other, runs, spearman``: a symmetric heat map; columns are called by the numbers of rows."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    numbers = [str(number) for number in range(1, len(metrics) + 1)]
    names = [f"{metric_label(metric)}  {number}" for metric, number in zip(metrics, numbers, strict=True)]
    values = {(row["metric"], row["other"]): row["spearman"] for row in rows if row["spearman"] is not None}
    cells = [[values.get((one, other), math.nan) for other in metrics] for one in metrics]
    return heat_map(cells, names, numbers, ink, limit=1.0, form="+.2f" if len(metrics) <= _ROOMY else "+.1f")


CHART = Chart(
    name="metric-agreement",
    title="Agreement of metrics",
    reading="Spearman's rank correlation over runs, better values first: +1 where two metrics order the runs alike, "
    "-1 where the other way round. Few runs make it coarse; standard errors are not considered.",
    sql="""
WITH places AS (
    SELECT
        metric,
        position,
        run,
        rank() OVER best_first + (count(*) OVER (PARTITION BY metric, value) - 1) / 2 AS place
    FROM leaderboard
    WHERE suite = {suite} AND precision = {precision} AND is_current AND n = {n}
    WINDOW best_first AS (PARTITION BY metric ORDER BY CASE direction WHEN 'lower' THEN value ELSE -value END)
)
SELECT one.metric, other.metric AS other, count(*) AS runs, corr(one.place, other.place) AS spearman
FROM places AS one
JOIN places AS other USING (run)
GROUP BY ALL
HAVING count(*) >= 3
ORDER BY min(one.position), one.metric, min(other.position), other.metric
""",
    draw=draw,
    missing="Rank correlations need three runs or more, and two metrics: genbench run {suite} -m 'VARIANT@*'",
    enough=lambda rows: len({row["metric"] for row in rows}) > 1,
)
