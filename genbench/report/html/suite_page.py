"""One suite as a page: its leaderboard, its figures, its galleries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from genbench.features.spaces import SPACES
from genbench.report.board_notes import blocks_measured
from genbench.report.figures import agreement, classes, quality_cost, sample_size, training
from genbench.report.figures.canvas import Record
from genbench.report.figures.chart import Scope, records
from genbench.report.html.correlograms import correlograms
from genbench.report.html.influential import influential_images
from genbench.report.html.pictures import Files
from genbench.report.html.samples import sample_grid
from genbench.report.html.section import Section, charted
from genbench.report.html.settings import Settings
from genbench.report.leaderboard import Leaderboard, leaderboard
from genbench.report.tables import comma_separated, right_aligned
from genbench.store import Store

CHARTS = (quality_cost.CHART, agreement.CHART, sample_size.CHART, classes.CHART, training.CHART)
BOARD_CSV = "data/leaderboard.csv"


class Cell(NamedTuple):
    """A cell of the leaderboard."""

    text: str
    number: float | None
    """What it is sorted by; None for text."""


class Column(NamedTuple):
    """A column of the leaderboard."""

    heading: str
    numeric: bool
    descending: bool
    """Whether the largest value is the best: what the first click on the heading puts on top."""

    @property
    def names(self) -> bool:
        """Whether its cells say what the row is of."""
        return self.heading == "run"


class SuitePage(NamedTuple):
    """What the template shows, and the files that the page refers to."""

    suite: str
    title: str
    facts: tuple[tuple[str, str], ...]
    """What the suite asks for, and how much of it was measured, in a few words each."""
    runs: tuple[str, ...]
    """The best first."""
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...]
    sql: str
    csv: str
    samples: Section
    figures: tuple[Section, ...]
    images: Section
    latest: str
    """When the latest record was written, UTC."""
    files: Files


def suite_page(store: Store, suite: str, settings: Settings) -> SuitePage:
    """Everything of one suite, under its current digest.

    Raises `UsageError` for an unknown suite and for one without results.
    """
    widths = {name: space.width for name, space in SPACES.items()}
    board = leaderboard(store, suite, widths=widths, precision=settings.precision, cache=settings.cache)
    scope = _scope(suite, settings, records(board.rows))
    runs = tuple(dict.fromkeys(row["run"] for row in records(board.rows)))
    samples = sample_grid(store, scope, runs, settings)
    charts = [charted(chart, store, scope, runs) for chart in CHARTS]
    charts.append(correlograms(store, scope, runs, settings))
    charts.sort(key=lambda made: made.section.missing is not None)  # what there is to see comes first
    images = influential_images(store, scope, runs, settings)
    files = {BOARD_CSV: comma_separated(*board.rows).encode()}
    for made in (samples, *charts, images):
        files |= made.files
    title, facts = _described(store, suite, records(board.rows))
    return SuitePage(
        suite=suite,
        title=title,
        facts=facts,
        runs=runs,
        columns=_columns(board),
        rows=tuple(tuple(map(_cell, row)) for row in board.cells),
        notes=board.notes,
        sql=scope.fill("FROM leaderboard WHERE suite = {suite} AND precision = {precision} AND is_current"),
        csv=BOARD_CSV,
        samples=samples.section,
        figures=tuple(made.section for made in charts),
        images=images.section,
        latest=f"{max(row['created'] for row in records(board.rows)):%Y-%m-%d %H:%M}",
        files=files,
    )


def _scope(suite: str, settings: Settings, rows: Sequence[Any]) -> Scope:
    metric = min(rows, key=lambda row: row["position"])["metric"]
    distances = [
        row["metric"] for row in sorted(rows, key=lambda row: row["position"]) if row["metric"].startswith("fd@")
    ]
    return Scope(
        suite, settings.precision, metric, distances[0] if distances else metric, max(row["n"] for row in rows)
    )


def _described(store: Store, suite: str, rows: Sequence[Record]) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Title and protocol, as the suite's file has them now, and how many of its seed blocks `rows` have.

    A suite without a file has its name alone.
    """
    found = records(store.query("SELECT * FROM suites WHERE suite = ?", [suite]))
    if not found:
        return suite, ()
    (row,) = found
    measured = blocks_measured(rows)
    lacking = f" ({measured} measured)" if measured != str(row["blocks"]) else ""
    blocks = f", in each of {row['blocks']} seed blocks{lacking}" if row["blocks"] > 1 else ""
    return row["title"], (
        ("data set", f"{row['dataset']}, {row['resolution']}x{row['resolution']}"),
        ("images", f"{row['images']:,}{blocks}"),
        ("labels", row["labels"]),
        ("reference", row["reference"]),
    )


def _columns(board: Leaderboard) -> tuple[Column, ...]:
    numeric = right_aligned(board.headings, board.cells)
    return tuple(
        Column(heading, is_number, heading.endswith("↑"))
        for heading, is_number in zip(board.headings, numeric, strict=True)
    )


def _cell(text: str) -> Cell:
    """A cell with its leading number, without the standard error behind it."""
    try:
        number = float(text.partition(" ")[0])
    except ValueError:
        return Cell(text, None)
    return Cell(text, number if math.isfinite(number) else None)
