"""Correlograms: how alike two patches of an image are, by their distance; generated images against real ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import Ink, Record, legend, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REAL = "reference"
"""What stands for a run in the rows of real images."""


def draw(rows: Sequence[Record], ink: Ink) -> Figure:
    """Rows ``run, distance, value, stderr`` in order of run and distance, `REAL` among the runs.

    Above, the mean correlograms; below, the difference from the real one, with bands of two standard errors.
    """
    curves = {run: list(group) for run, group in groupby(rows, key=lambda row: row["run"])}
    real = {row["distance"]: row for row in curves[REAL]}
    figure, (above, below) = panels(ink, [2.0, 2.0])
    for run, points in curves.items():
        color, _, line = (ink.theme.ink, "", "-") if run == REAL else ink.style(run)
        name = "real images" if run == REAL else ink.label(run)
        distances = [row["distance"] for row in points]
        above.plot(distances, [row["value"] for row in points], color=color, linestyle=line, label=name)
        differences = [row["value"] - real[row["distance"]]["value"] for row in points]
        band = [2 * row["stderr"] for row in points]
        below.plot(distances, differences, color=color, linestyle=line)
        below.fill_between(
            distances,
            [d - b for d, b in zip(differences, band, strict=True)],
            [d + b for d, b in zip(differences, band, strict=True)],
            color=color, alpha=0.2, linewidth=0,
        )  # fmt: skip
    above.set_ylabel("mean cosine g(d)")
    below.set_ylabel("less real")
    below.set_xlabel("distance d of two patches, steps on the grid")
    legend(figure, above, ink)
    return figure
