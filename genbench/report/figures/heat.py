"""Heat maps: signed numbers in cells, of the paper's colour at 0, and written out where there is room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import WIDTH, Ink, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CELL = 0.25
"""Inches, height of a row."""
_LINE = 0.2
"""Inches for the names of columns where they lie."""
_LETTER = 0.075
"""Inches a letter takes."""


def heat_map(
    cells: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], ink: Ink, *, limit: float, form: str
) -> Figure:
    """Draw numbers row by row; those that are NaN stay empty.

    `limit` is the absolute value of the deepest colour, `form` how numbers are written (``+.0f``).
    """
    from matplotlib.colors import LinearSegmentedColormap

    longest = _LETTER * max(map(len, columns))
    room = (WIDTH - _LETTER * max(map(len, rows))) / len(columns)
    upright = longest > room
    figure, (axis,) = panels(ink, [_LINE + longest * upright + _CELL * len(rows)])
    colours = LinearSegmentedColormap.from_list("diverging", ink.theme.diverging)
    axis.imshow(cells, cmap=colours, vmin=-limit, vmax=limit, aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=90 if upright else 0)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    texts = [["" if math.isnan(value) else f"{value:{form}}" for value in line] for line in cells]
    if room > _LETTER * max(len(text) for line in texts for text in line):
        _write(axis, texts)
    return figure


def _write(axis: Axes, texts: Sequence[Sequence[str]]) -> None:
    for y, line in enumerate(texts):
        for x, text in enumerate(line):
            axis.text(x, y, text.replace("-", "\N{MINUS SIGN}"), ha="center", va="center")
