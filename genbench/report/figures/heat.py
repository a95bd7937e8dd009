"""Heat maps: signed numbers in cells, of the paper's colour at 0, and written out where there is room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from genbench.report.figures.canvas import WIDTH, Ink, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

_CELL = 0.25
"""Inches, height of a row."""
_LINE = 0.2
"""Inches for the names of columns where they lie."""
_LETTER = 0.075
"""Inches a letter takes."""
_SCALE = 0.4
"""Inches for the scale of colours and its numbers."""
_WIDEST = 2 * WIDTH


def heat_map(
    cells: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], ink: Ink, *, limit: float, form: str
) -> Figure:
    """Draw numbers row by row, with a scale of the colours; those that are NaN stay empty.

    `limit` is the absolute value of the deepest colour, `form` how numbers are written (``+.0f``). The figure is as
    wide as its numbers need, up to a limit beyond which they are left out.
    """
    from matplotlib.colors import LinearSegmentedColormap

    texts = [["" if math.isnan(value) else _minus(f"{value:{form}}") for value in line] for line in cells]
    names = _LETTER * max(map(len, rows))
    needed = names + len(columns) * _LETTER * (1 + max(len(text) for line in texts for text in line))
    width = max(WIDTH, needed) if needed <= _WIDEST else WIDTH
    longest = _LETTER * max(map(len, columns))
    upright = longest > (width - names) / len(columns)
    figure, (axis,) = panels(ink, [_LINE + longest * upright + _CELL * len(rows) + _SCALE], width=width)
    colours = LinearSegmentedColormap.from_list("diverging", ink.theme.diverging)
    image = axis.imshow(cells, cmap=colours, vmin=-limit, vmax=limit, aspect="auto")
    axis.set_xticks(range(len(columns)), columns, rotation=90 if upright else 0)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(length=0, top=True, bottom=False, labeltop=True, labelbottom=False)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    if needed <= _WIDEST:
        _write(axis, texts)
    _scale(figure, axis, image, limit)
    return figure


def _scale(figure: Figure, axis: Axes, image: AxesImage, limit: float) -> None:
    """What the colours mean, below the cells."""
    bar = figure.colorbar(image, ax=axis, orientation="horizontal", fraction=_SCALE / 2, aspect=30, pad=0.02)
    end = f"{limit:,.0f}" if limit >= 10 else f"{limit:.2g}"
    bar.set_ticks([-limit, 0, limit], labels=[_minus(f"-{end}"), "0", f"+{end}"])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.ax.grid(visible=False)


def _minus(number: str) -> str:
    return number.replace("-", "\N{MINUS SIGN}")


def _write(axis: Axes, texts: Sequence[Sequence[str]]) -> None:
    for y, line in enumerate(texts):
        for x, text in enumerate(line):
            axis.text(x, y, text, ha="center", va="center")
