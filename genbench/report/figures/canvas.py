"""The look of figures: two themes, a colour and a marker for each run, and SVG that is the same for the same rows."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 4.4
"""Inches, 422 CSS pixels: shown as it is beside others on a wide screen, and a little smaller on a phone."""

FONT = 8.25
"""Points, 11 CSS pixels."""

SERIES = 8
"""Colours; more cannot be told apart."""

NAMED = 16
"""Runs that every figure names, the best ones: the second `SERIES` have the colours of the first, but other markers and
lines."""

LETTERS = 48
"""In a name, at most: as many as a legend has room for beside its markers."""
_HALF = 24
"""Letters of a legend's entry up to which two stand side by side."""
_ENTRY = 0.17
"""Inches, height of a legend's entry."""
_TICKS = 6
_ROOM = 0.1
"""Share of an axis that a number on it takes."""
CSS_PIXELS = 96
"""In an inch."""
_MARKERS = "osD^vPX*"
_TURN = 3
"""Markers by which each further round of colours is ahead: no two of 64 runs look alike."""
_LINES = ("-", "--", ":", "-.")


class Theme(NamedTuple):
    """Colours on one kind of paper."""

    name: str
    paper: str
    ink: str
    muted: str
    """Axes, grids, and runs that are not named."""
    series: tuple[str, ...]
    """`SERIES` colours that colour-blind readers tell apart (after Okabe and Ito), the best run's first."""
    diverging: tuple[str, str, str]
    """Below, at and above the middle of a heat map; `ink` can be read on all of them."""


LIGHT = Theme(
    name="light",
    paper="#ffffff",
    ink="#1b1f24",
    muted="#8a919a",
    series=("#0072b2", "#d55e00", "#007f5f", "#a8458a", "#9a6b00", "#2f8fc4", "#5b5f97", "#b23a48"),
    diverging=("#5aa5d6", "#ffffff", "#e8833a"),
)
DARK = Theme(
    name="dark",
    paper="#161a20",
    ink="#e6e9ee",
    muted="#7d8590",
    series=("#56b4e9", "#f28e4b", "#3fc5a0", "#dd8fc4", "#e0b84c", "#9ad0f0", "#a5a8e0", "#ef8089"),
    diverging=("#2b6592", "#161a20", "#a3521f"),
)
THEMES = (LIGHT, DARK)

Record = Mapping[str, Any]
"""One row by name of column."""


def shortened(name: str, letters: int = LETTERS) -> str:
    """A name that fits beside a drawing: its last letters, which tell paths and presets apart."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


class Style(NamedTuple):
    """How a run is drawn in every figure of a report."""

    color: str
    marker: str
    line: str


@dataclass(frozen=True)
class Ink:
    """A theme, and the runs of a report, best first."""

    theme: Theme
    runs: tuple[str, ...]
    prominent: frozenset[str] = frozenset()
    """Runs that are named wherever they stand."""

    def named(self, run: str) -> bool:
        """Whether a run has a name of its own in the figure: the first `NAMED`, and the prominent ones."""
        return run in self.runs[:NAMED] or (run in self.prominent and run in self.runs)

    def style(self, run: str) -> Style:
        """Colour, marker and line of a run, the same in every figure that names it; the rest are muted alike."""
        if not self.named(run):
            return Style(self.theme.muted, ".", "-")
        turn, place = divmod(self.runs.index(run), SERIES)
        marker = _MARKERS[(place + _TURN * turn) % len(_MARKERS)]
        return Style(self.theme.series[place], marker, _LINES[turn % len(_LINES)])

    def label(self, run: str) -> str:
        """What a run is called in a legend: those that are not named share one entry."""
        return self.name(run) if self.named(run) else "other runs"

    @cached_property
    def _common(self) -> str:
        variants = {run.partition("@")[0] for run in self.runs}
        return f"{variants.pop()}@" if len(variants) == 1 and len(self.runs) > 1 else ""

    def name(self, run: str) -> str:
        """A run as figures call it: without the variant where all runs have the same; of a long path the end."""
        return shortened(run.removeprefix(self._common))


Draw = Callable[[Sequence[Record], Ink], "Figure"]
"""Rows to a drawing; called inside `render`, which sets fonts and colours."""


def panels(ink: Ink, heights: Sequence[float], *, width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    """A figure with axes below one another, so many inches high each."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, sum(heights)), layout="constrained")
    axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=list(heights))[:, 0]
    return figure, list(axes)


def legend(figure: Figure, axes: Axes, ink: Ink) -> None:
    """What the colours mean, below the axes: what is no run first, then the best runs; each name once."""
    handles, names = axes.get_legend_handles_labels()
    entries = dict(zip(names, handles, strict=True))
    places = {ink.label(run): place for place, run in enumerate(ink.runs)}
    shown = sorted(entries, key=lambda name: places.get(name, -1))
    columns = 1 if max(map(len, shown)) > _HALF else 2
    figure.set_figheight(figure.get_figheight() + _ENTRY * math.ceil(len(shown) / columns))
    figure.legend([entries[name] for name in shown], shown, loc="outside lower left", ncols=columns, frameon=False)


def plain_ticks(axis: Axis, values: Sequence[float]) -> None:
    """Label a logarithmic axis with plain numbers: those of the values, where they are few, if there is room."""
    from matplotlib.ticker import NullLocator

    distinct = sorted({value if float(value).is_integer() else float(f"{value:.2g}") for value in values})
    axis.set_major_formatter("{x:,.6g}")
    if len(distinct) <= _TICKS:
        axis.set_ticks(_apart(distinct))
        axis.set_minor_locator(NullLocator())


def _apart(values: Sequence[float]) -> list[float]:
    """Of ascending values those that stand apart on a logarithmic axis, the last one among them."""
    least = math.log(values[-1] / values[0]) * _ROOM if values else 0.0
    kept: list[float] = []
    for value in reversed(values):
        if not kept or math.log(kept[-1] / value) >= least:
            kept.append(value)
    return kept[::-1]


class Drawing(NamedTuple):
    """A figure as a file."""

    svg: bytes
    width: int
    """CSS pixels."""
    height: int


def render(draw: Draw, rows: Sequence[Record], ink: Ink) -> Drawing:
    """Draw rows as SVG. The same rows give the same bytes; letters are outlines, so no font has to be there."""
    from matplotlib import rc_context

    with rc_context(_settings(ink.theme)):
        figure = draw(rows, ink)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": "genbench"})
    width, height = (round(inches * CSS_PIXELS) for inches in figure.get_size_inches())
    return Drawing(file.getvalue(), width, height)


def _settings(theme: Theme) -> dict[Any, Any]:
    return {
        "svg.hashsalt": "genbench",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": FONT,
        "axes.titlesize": FONT,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "legend.fontsize": FONT,
        "figure.facecolor": theme.paper,
        "axes.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "text.color": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.edgecolor": theme.muted,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "grid.color": theme.muted,
        "grid.alpha": 0.25,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "lines.linewidth": 1.4,
        "lines.markersize": 5,
    }
