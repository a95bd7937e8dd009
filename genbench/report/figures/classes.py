"""Which classes make the Fréchet distance worse: their contributions, run by run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import Ink, Record, shortened
from genbench.report.figures.chart import Chart
from genbench.report.figures.heat import heat_map

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLASSES = 30
"""Classes that are drawn: those with the largest contribution, up or down, in any run."""

_LETTERS = 28
"""In the name of a class, at most: what they take lacks the cells."""


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows ``run, label, class, contribution``: classes down, in their order, and runs across, the best first."""
    values = {(row["label"], row["run"]): row["contribution"] for row in rows}
    names = {row["label"]: shortened(row["class"], _LETTERS) for row in rows}
    largest = {label: max(abs(value) for (of, _), value in values.items() if of == label) for label in names}
    labels = sorted(sorted(largest, key=lambda label: -largest[label])[:CLASSES])
    runs = [run for run in ink.runs if any(row["run"] == run for row in rows)]
    limit = max(largest.values()) or 1.0
    return heat_map(
        [[values.get((label, run), math.nan) for run in runs] for label in labels],
        [names[label] for label in labels],
        [ink.name(run) for run in runs],
        ink,
        limit=limit,
        form="+.0f" if limit >= 10 else "+.2g",
    )


CHART = Chart(
    name="class-contributions",
    title="What each class does to the distance",
    reading="Mean influence of the images of a class on the Fréchet distance, to first order: above 0 the class makes "
    f"it worse. Weighted by images they sum to 0. Of more than {CLASSES} classes those that matter most are drawn; "
    "the table has all. Of more than 24 runs it has the best.",
    sql="""
SELECT
    counted.run,
    metric,
    label,
    coalesce(name, label::VARCHAR) AS class,
    sum(class_contributions.n)::BIGINT AS n,
    avg(contribution) AS contribution,
    CASE WHEN count(stderr) = count(*) THEN sqrt(sum(stderr * stderr)) / count(*) END AS stderr
FROM counted
JOIN class_contributions USING (record_id)
WHERE suite = {suite} AND precision = {precision} AND is_current AND counted.n = {n} AND metric = {fd}
  AND counted.run IN (
    SELECT run
    FROM leaderboard
    WHERE suite = {suite} AND precision = {precision} AND is_current AND n = {n} AND metric = {fd}
    ORDER BY rank, run
    LIMIT 24
  )
GROUP BY counted.run, metric, label, name
ORDER BY label, counted.run
""",
    draw=draw,
    missing="Contributions are kept of runs with classes and a Fréchet distance; the records of this suite have none: "
    "genbench run {suite} with a metric such as fid",
)
