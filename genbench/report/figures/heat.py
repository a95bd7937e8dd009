"""Heat maps: signed numbers in cells, white (or dark) at 0, the number written in each cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import Ink, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CELL = 0.25
"""Inches, height of a row."""
_MARGIN = 0.9
"""Inches for the names of columns, which stand upright."""
_WRITTEN = 10
"""Columns up to which numbers fit into the cells."""


def heat_map(
    values: Mapping[tuple[str, str], float],
    rows: Sequence[str],
    columns: Sequence[str],
    ink: Ink,
    *,
    limit: float,
    form: str,
) -> Figure:
    """Draw `values` by (row, column); cells without one stay empty.

    `limit` is the absolute value of the deepest colour, `form` how numbers are written (``+.0f``).
    """
    from matplotlib.colors import LinearSegmentedColormap

    figure, (axis,) = panels(ink, [_MARGIN + _CELL * len(rows)])
    colours = LinearSegmentedColormap.from_list("diverging", ink.theme.diverging)
    cells = [[values.get((row, column), math.nan) for column in columns] for row in rows]
    axis.imshow(cells, cmap=colours, vmin=-limit, vmax=limit, aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=90 if len(columns) > 4 else 0)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    if len(columns) <= _WRITTEN:
        for y, line in enumerate(cells):
            for x, value in enumerate(line):
                if not math.isnan(value):
                    number = f"{value:{form}}".replace("-", "\N{MINUS SIGN}")
                    axis.text(x, y, number, ha="center", va="center")
    return figure
