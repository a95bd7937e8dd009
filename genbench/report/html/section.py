"""Parts of a page: a figure or a gallery with its data and its SQL, or a sentence that says what to run for it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from genbench.report.figures.canvas import CSS_PIXELS, THEMES, WIDTH, Draw, Ink, Record, render
from genbench.report.figures.chart import Chart, Scope, records
from genbench.report.html.pictures import Files, Picture
from genbench.report.tables import comma_separated
from genbench.store import Rows, Store

_NAMED = 5
"""Runs that a sentence names before it counts the rest."""


class Tile(NamedTuple):
    """An image of a gallery with what is said of it."""

    pictures: tuple[tuple[Picture | None, str], ...]
    """Thumbnails, one above the other, each with the text for those who do not see it; None for an image that was not
    drawn, whose place is kept."""
    lines: tuple[str, ...]
    """Below them."""
    training: tuple[Picture, str] | None = None
    """A training image, shown below the thumbnails and called so."""


class Gallery(NamedTuple):
    """Images in rows."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Tile, ...]], ...]
    """A run and its images, as many as headings."""


class Section(NamedTuple):
    """One part of a page."""

    name: str
    title: str
    reading: str
    sql: str
    missing: str | None = None
    """What to run where there is nothing to show; then there is nothing but this."""
    size: tuple[int, int] | None = None
    """CSS pixels of the figure; None for a gallery."""
    gallery: Gallery | None = None
    note: str = ""
    """What was left out, and where numbers come from that are not the store's."""

    @property
    def wide(self) -> bool:
        """Whether the figure takes the room of two."""
        return self.size is not None and self.size[0] > WIDTH * CSS_PIXELS

    @property
    def csv(self) -> str:
        """Path of the data, from the page."""
        return f"data/{self.name}.csv"

    @property
    def drawings(self) -> dict[str, str]:
        """Path of the figure by theme, from the page."""
        return {theme.name: f"figures/{self.name}-{theme.name}.svg" for theme in THEMES}


class Made(NamedTuple):
    """A section with the files that it refers to."""

    section: Section
    files: Files


def charted(chart: Chart, store: Store, scope: Scope, runs: Sequence[str]) -> Made:
    """Ask the store and draw the answer; `runs` are best first."""
    question = scope.fill(chart.sql)
    rows = store.query(question)
    section = Section(chart.name, chart.title, chart.reading, question)
    if not chart.enough(records(rows)):
        return absent(section, chart.missing.format(suite=scope.suite, half=scope.n // 2))
    return drawn(section, rows, chart.draw, runs)


def drawn(section: Section, rows: Rows, draw: Draw, runs: Sequence[str]) -> Made:
    """A figure of rows, light and dark, with its CSV."""
    files = {section.csv: comma_separated(*rows).encode()}
    size = None
    for theme in THEMES:
        drawing = render(draw, records(rows), Ink(theme, tuple(runs)))
        files[section.drawings[theme.name]] = drawing.svg
        size = drawing.width, drawing.height
    return Made(section._replace(size=size), files)


def shown(section: Section, gallery: Gallery, rows: Sequence[Record], pictures: Files) -> Made:
    """A gallery, with a CSV of what is said of its images."""
    columns = tuple(rows[0])
    data = comma_separated(columns, [tuple(row.values()) for row in rows])
    return Made(section._replace(gallery=gallery), {section.csv: data.encode(), **pictures})


def absent(section: Section, missing: str) -> Made:
    """A section without data."""
    return Made(section._replace(missing=missing), {})


def left_out(runs: Sequence[str], shown_runs: Collection[str], most: int, lacking: str) -> list[str]:
    """Sentences on runs that a gallery does not show: they are `lacking` something, or more than fit in."""
    missing = [run for run in runs if run not in shown_runs]
    if len(shown_runs) == most and missing:
        return [f"The best {most} of {len(runs)} runs are shown."]
    named = ", ".join(missing[:_NAMED]) + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")
    return [f"Without {lacking}: {named}."] if missing else []
