"""The leaderboard of one suite or several: a row a run, a column a metric, and below it how far the numbers carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from genbench.comparisons.measured import MetricKey
from genbench.comparisons.ties import board_ranks
from genbench.digest import SHORT
from genbench.errors import UsageError, unknown
from genbench.metrics.catalog import parse
from genbench.report.board_notes import (
    Row,
    measuring_command,
    other_precision,
    precision_option,
    suite_notes,
    table_notes,
)
from genbench.report.labels import ARROWS, metric_label
from genbench.report.published_rows import published_cells
from genbench.report.tables import cell, uncertain
from genbench.store import Rows, Store


class Leaderboard(NamedTuple):
    """Results of suites, each under its current digest."""

    headings: tuple[str, ...]
    """Of the wide table: rank, run, metrics with the arrow of the better direction, n, protocol, NFE, cost, digest,
    date."""
    cells: tuple[tuple[str, ...], ...]
    """The wide table: suite by suite, most images first, then by rank in the first metric; ``value ± stderr``,
    ``(s …)`` the spread over blocks. Published figures, where asked for, stand below without a rank."""
    notes: tuple[str, ...]
    """What the numbers mean and what they do not, in sentences."""
    rows: Rows
    """The measured rows in full: those of the view `leaderboard`, one a run and metric, under the store's names."""


class _Entry(NamedTuple):
    """One row of the wide table."""

    measured: dict[MetricKey, Row]
    rank: int | None
    """None where the metric that ranks was not measured, or has no standard error."""


def leaderboard(
    store: Store,
    suite: str,
    *,
    metrics: Sequence[str] = (),
    widths: Mapping[str, int] | None = None,
    precision: str = "exact",
    cache: Path | None = None,
) -> Leaderboard:
    """Read the leaderboard of one suite; see `leaderboards`."""
    return leaderboards(store, [suite], metrics=metrics, widths=widths, precision=precision, cache=cache)


def leaderboards(
    store: Store,
    suites: Sequence[str],
    *,
    metrics: Sequence[str] = (),
    widths: Mapping[str, int] | None = None,
    precision: str = "exact",
    cache: Path | None = None,
    published: bool = False,
) -> Leaderboard:
    """Read the leaderboards of suites into one table.

    Args:
        store: where the results are.
        suites: ids of the suites, in the order in which they are shown; each is ranked by itself.
        metrics: ids or aliases to show, in this order; none means all, in the suites' order.
        widths: dimensions of the feature spaces, for the note on the bias of FD; spaces left out are not remarked on.
        precision: of the features, exact or fast; the two never stand in one table.
        cache: folder below which each image's influence lies, so that ranks compare images of one seed.
        published: add figures of the literature on the suites' data sets, marked and without a rank.

    Raises `UsageError` for an unknown suite, one without results, and a metric that none of them has.
    """
    suites = list(dict.fromkeys(suites))
    rows = _current_rows(store, suites, precision)
    wanted = [parse(name).id for name in metrics]
    known = sorted({row["metric"] for row in rows})
    for metric in wanted:
        if metric not in known:
            raise unknown("metric", metric, known, where=f"the results of suite {' or '.join(suites)}")
    shown = [row for row in rows if not wanted or row["metric"] in wanted]
    columns = _columns(shown, wanted)
    entries = _entries(store, shown, columns, cache)
    printed = published_cells(store, suites, [column.metric for column in columns]) if published else []
    notes = table_notes(shown, columns, widths or {}, paired=cache is not None, published=bool(printed))
    for suite in suites:
        notes += suite_notes(store, suite, precision, columns, shown)
    return Leaderboard(
        headings=(
            "rank",
            "run",
            *(_heading(shown, column) for column in columns),
            "n",
            "protocol",
            "NFE",
            "s/image",
            "digest",
            "date",
        ),
        cells=(*(_wide(entry, columns) for entry in entries), *printed),
        notes=tuple(notes),
        rows=_ordered(entries, columns),
    )


def _current_rows(store: Store, suites: Sequence[str], precision: str) -> list[Row]:
    """Rows of the view, in the order of the suites."""
    answer = store.query(
        "SELECT * FROM leaderboard WHERE suite IN (SELECT unnest(?::VARCHAR[])) AND is_current AND precision = ?",
        [list(suites), precision],
    )
    found = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    measured = {row["suite"] for row in found}
    for suite in suites:
        if suite not in measured:
            raise _nothing_measured(store, suite, precision)
    return sorted(found, key=lambda row: suites.index(row["suite"]))


def _nothing_measured(store: Store, suite: str, precision: str) -> UsageError:
    files = {name for (name,) in store.query("SELECT suite FROM suites").rows}
    measured = {name for (name,) in store.query("SELECT DISTINCT suite FROM leaderboard").rows}
    if suite not in files | measured:
        return unknown("suite", suite, files | measured, lister="genbench list suites")
    limited = store.query("SELECT count(*) FROM runs WHERE suite = ? AND limited", [suite]).rows[0][0]
    smoke = f" ({limited} made with --limit do not count)" if limited else ""
    of_features = " from fast features" if precision == "fast" else ""
    return UsageError(
        f"{store.file.parent}: no results of suite {suite}{of_features}{smoke}",
        hint=f"`{measuring_command(store, suite, precision)}`" + _elsewhere(store, suite, precision),
    )


def _elsewhere(store: Store, suite: str, precision: str) -> str:
    """Where the results of the other precision are, if there are some."""
    other = other_precision(precision)
    found = store.query("SELECT count(*) FROM leaderboard WHERE suite = ? AND precision = ?", [suite, other]).rows[0][0]
    command = f"`genbench leaderboard {suite}{precision_option(other)}`"
    return f", or {command} for what was measured {other}" if found else ""


def _columns(rows: Sequence[Row], wanted: Sequence[str]) -> list[MetricKey]:
    """Metrics in the order asked for, else in the suites'."""
    place: dict[MetricKey, int] = {}
    for row in rows:
        column = MetricKey(row["metric"], row["version"])
        at = wanted.index(row["metric"]) if wanted else row["position"]
        place[column] = min(at, place.get(column, at))
    return sorted(place, key=lambda column: (place[column], column))


def _heading(rows: Sequence[Row], column: MetricKey) -> str:
    directions = {row["direction"] for row in rows if (row["metric"], row["version"]) == column}
    others = {row["version"] for row in rows if row["metric"] == column.metric}
    version = f" v{column.version}" if len(others) > 1 else ""
    return f"{metric_label(column.metric)}{version} {''.join(ARROWS[d] for d in sorted(directions))}"


def _entries(store: Store, rows: Sequence[Row], columns: Sequence[MetricKey], cache: Path | None) -> list[_Entry]:
    """Rows of the wide table: suite by suite, most images first, then by rank and value of the first metric."""
    boards: dict[tuple[str, int], dict[str, dict[MetricKey, Row]]] = {}
    for row in rows:
        runs = boards.setdefault((row["suite_digest"], row["n"]), {})
        runs.setdefault(row["run"], {})[MetricKey(row["metric"], row["version"])] = row
    suites = list(dict.fromkeys(row["suite_digest"] for row in rows))
    entries = []
    for (digest, n), runs in sorted(boards.items(), key=lambda item: (suites.index(item[0][0]), -item[0][1])):
        first = next(column for column in columns if any(column in measured for measured in runs.values()))
        ranks = board_ranks(store, digest, n, first, cache=cache)
        board = [_Entry(measured, ranks.get(run)) for run, measured in runs.items()]
        entries += sorted(board, key=lambda entry: _place(entry, first))
    return entries


def _place(entry: _Entry, first: MetricKey) -> tuple[float, float, str]:
    run = next(iter(entry.measured.values()))["run"]
    by_value = entry.measured[first]["rank"] if first in entry.measured else float("inf")
    return entry.rank or by_value, by_value, run


def _wide(entry: _Entry, columns: Sequence[MetricKey]) -> tuple[str, ...]:
    latest = max(entry.measured.values(), key=lambda row: row["created"])
    seconds = latest["seconds_per_image"]
    return (
        cell(entry.rank),
        cell(latest["run"]),
        *(_value(entry.measured[column]) if column in entry.measured else "" for column in columns),
        str(latest["n"]),
        f"{latest['suite']} {latest['suite_digest'][:SHORT]}",
        cell(latest["nfe"]),
        "" if seconds is None else f"{seconds:.2g}",
        latest["run_digest"][:SHORT],
        f"{latest['created']:%Y-%m-%d}",
    )


def _value(row: Row) -> str:
    """``value ± stderr``, and the spread over seed blocks to two digits where there are several."""
    spread = row["seed_spread"]
    return uncertain(row["value"], row["stderr"]) + ("" if spread is None else f" (s {spread:.2g})")


def _ordered(entries: Sequence[_Entry], columns: Sequence[MetricKey]) -> Rows:
    ordered = [entry.measured[column] for entry in entries for column in columns if column in entry.measured]
    names = tuple(ordered[0])
    return Rows(names, [tuple(row[name] for name in names) for row in ordered])
