"""The leaderboard of a suite: a row a run, a column a metric, and below it how far the numbers carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from genbench.digest import SHORT
from genbench.errors import UsageError, unknown
from genbench.metrics.catalog import parse
from genbench.report.labels import ARROWS, metric_label
from genbench.report.tables import cell, uncertain
from genbench.store import Rows, Store


class Leaderboard(NamedTuple):
    """One suite's results under its current digest."""

    headings: tuple[str, ...]
    """Of the wide table: run, metrics with the arrow of the better direction, n, cost, date, digest."""
    cells: tuple[tuple[str, ...], ...]
    """The wide table, best first by the first metric; ``value ± stderr``, ``(s …)`` the spread over blocks."""
    notes: tuple[str, ...]
    """What the numbers mean and what they do not, in sentences."""
    rows: Rows
    """The same rows in full: those of the view `leaderboard`, one a run and metric, under the store's names."""


def leaderboard(
    store: Store,
    suite: str,
    *,
    metrics: Sequence[str] = (),
    widths: Mapping[str, int] | None = None,
    precision: str = "exact",
) -> Leaderboard:
    """Read the leaderboard of a suite.

    Args:
        store: where the results are.
        suite: id of the suite.
        metrics: ids or aliases to show, in this order; none means all, in the suite's order.
        widths: dimensions of the feature spaces, for the note on the bias of FD; spaces left out are not remarked on.
        precision: of the features, exact or fast; the two never stand in one table.

    Raises `UsageError` for an unknown suite, one without results, and a metric that it does not have.
    """
    rows = _current_rows(store, suite, precision)
    wanted = [parse(name).id for name in metrics]
    known = sorted({row["metric"] for row in rows})
    for metric in wanted:
        if metric not in known:
            raise unknown("metric", metric, known, where=f"the results of suite {suite}")
    shown = [row for row in rows if not wanted or row["metric"] in wanted]
    columns = _columns(shown, wanted)
    table = _wide(shown, columns)
    return Leaderboard(
        headings=("run", *(_heading(shown, column) for column in columns), "n", "NFE", "s/image", "date", "digest"),
        cells=tuple(table),
        notes=(
            *_notes(shown, columns, widths or {}),
            *(_deviations(store, shown, columns) if precision == "fast" else ()),
            *_not_shown(store, suite, precision),
        ),
        rows=_ordered(shown, columns),
    )


Row = dict[str, Any]
Column = tuple[str, int]
"""Metric id and version."""


def _current_rows(store: Store, suite: str, precision: str) -> list[Row]:
    answer = store.query(
        "SELECT * FROM leaderboard WHERE suite = ? AND is_current AND precision = ?", [suite, precision]
    )
    if answer.rows:
        return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    files = {name for (name,) in store.query("SELECT suite FROM suites").rows}
    measured = {name for (name,) in store.query("SELECT DISTINCT suite FROM leaderboard").rows}
    if suite not in files:
        raise unknown("suite", suite, files | measured, lister="genbench list suites")
    limited = store.query("SELECT count(*) FROM runs WHERE suite = ? AND limited", [suite]).rows[0][0]
    smoke = f" ({limited} made with --limit do not count)" if limited else ""
    of_features = " from fast features" if precision == "fast" else ""
    raise UsageError(
        f"{store.file.parent}: no results of suite {suite}{of_features}{smoke}",
        hint=f"`genbench run {suite}{_option(precision)}`" + _elsewhere(store, suite, precision),
    )


def _option(precision: str) -> str:
    return " --precision fast" if precision == "fast" else ""


def _other(precision: str) -> str:
    return "exact" if precision == "fast" else "fast"


def _elsewhere(store: Store, suite: str, precision: str) -> str:
    """Where the results of the other precision are, if there are some."""
    other = _other(precision)
    found = store.query("SELECT count(*) FROM leaderboard WHERE suite = ? AND precision = ?", [suite, other]).rows[0][0]
    return f", or `genbench leaderboard {suite}{_option(other)}` for what was measured {other}" if found else ""


def _columns(rows: Sequence[Row], wanted: Sequence[str]) -> list[Column]:
    """Metrics in the order asked for, else in the suite's."""
    place: dict[Column, int] = {}
    for row in rows:
        column = (row["metric"], row["version"])
        at = wanted.index(row["metric"]) if wanted else row["position"]
        place[column] = min(at, place.get(column, at))
    return sorted(place, key=lambda column: (place[column], column))


def _heading(rows: Sequence[Row], column: Column) -> str:
    directions = {row["direction"] for row in rows if (row["metric"], row["version"]) == column}
    others = {row["version"] for row in rows if row["metric"] == column[0]}
    version = f" v{column[1]}" if len(others) > 1 else ""
    return f"{metric_label(column[0])}{version} {''.join(ARROWS[d] for d in sorted(directions))}"


def _entries(rows: Sequence[Row], columns: Sequence[Column]) -> list[tuple[str, int, dict[Column, Row]]]:
    """Run, n and measurements, one a row of the wide table: most images first, then best first by the first metric."""
    entries: dict[tuple[str, int], dict[Column, Row]] = {}
    for row in rows:
        entries.setdefault((row["run"], row["n"]), {})[row["metric"], row["version"]] = row

    def place(item: tuple[tuple[str, int], dict[Column, Row]]) -> tuple[int, float, str]:
        (run, n), measured = item
        first = measured.get(columns[0])
        return -n, first["rank"] if first else float("inf"), run

    return [(run, n, measured) for (run, n), measured in sorted(entries.items(), key=place)]


def _wide(rows: Sequence[Row], columns: Sequence[Column]) -> list[tuple[str, ...]]:
    table = []
    for run, n, measured in _entries(rows, columns):
        latest = max(measured.values(), key=lambda row: row["created"])
        seconds = latest["seconds_per_image"]
        table.append(
            (
                cell(run),
                *(_value(measured[column]) if column in measured else "" for column in columns),
                str(n),
                cell(latest["nfe"]),
                "" if seconds is None else f"{seconds:.2g}",
                f"{latest['created']:%Y-%m-%d}",
                latest["run_digest"][:SHORT],
            )
        )
    return table


def _value(row: Row) -> str:
    """``value ± stderr``, and the spread over seed blocks to two digits where there are several."""
    spread = row["seed_spread"]
    return uncertain(row["value"], row["stderr"]) + ("" if spread is None else f" (s {spread:.2g})")


def _ordered(rows: Sequence[Row], columns: Sequence[Column]) -> Rows:
    names = tuple(rows[0])
    ordered = [
        measured[column] for _, _, measured in _entries(rows, columns) for column in columns if column in measured
    ]
    return Rows(names, [tuple(row[name] for name in names) for row in ordered])


def _notes(rows: Sequence[Row], columns: Sequence[Column], widths: Mapping[str, int]) -> list[str]:
    suite, digest = rows[0]["suite"], rows[0]["suite_digest"][:SHORT]
    counts = sorted({row["n"] for row in rows})
    blocks = sorted({row["n_blocks"] for row in rows})
    notes = [
        f"Suite {suite}, digest {digest}; compare only rows with the same n. ↓ lower is better, ↑ higher.",
        "± is one standard error over draws of the generated images, the reference held fixed: "
        "two values less than about three of it apart can differ by chance.",
    ]
    if blocks != [1]:
        spread = "1" if blocks[0] == 1 else str(blocks[0])
        number = str(blocks[-1]) if len(blocks) == 1 else f"{spread} to {blocks[-1]}"
        notes.append(
            f"Values are means over {number} seed blocks of n images each; s is the sample standard deviation of the "
            "blocks' values, that of one block and not of the mean."
        )
    notes += [_bias(metric, counts, widths) for metric, _ in columns if metric.startswith("fd@")]
    return notes


def _bias(metric: str, counts: Sequence[int], widths: Mapping[str, int]) -> str:
    """The bias of the Fréchet distance falls like 1/n and grows with the dimension (Chong & Forsyth 2020)."""
    numbers = " and ".join(f"{n:,}" for n in counts)
    width = widths.get(metric.partition("@")[2])
    dimensions = f" in {width:,} dimensions" if width else ""
    few = ", and strongly so with no more images than dimensions" if width and counts[0] <= width else ""
    return (
        f"{metric_label(metric)} at n = {numbers}{dimensions} is biased upwards{few}: "
        "it is not comparable with values at another n."
    )


def _deviations(store: Store, rows: Sequence[Row], columns: Sequence[Column]) -> list[str]:
    """How far fast features took each metric from exact ones, where that was measured."""
    found = store.query(
        "SELECT metric, version, max(abs(deviation)), min(deviation_n) FROM measurements JOIN runs USING (record_id) "
        "WHERE suite = ? AND suite_digest = ? AND NOT limited AND deviation IS NOT NULL GROUP BY metric, version",
        [rows[0]["suite"], rows[0]["suite_digest"]],
    ).rows
    largest = {(metric, version): (deviation, n) for metric, version, deviation, n in found}
    told = [
        f"{metric_label(column[0])} {largest[column][0]:.2g} ({largest[column][1]:,} images)"
        for column in columns
        if column in largest
    ]
    measured = (
        f"Largest difference from exact, on the first images of a block: {', '.join(told)}."
        if told
        else "Their difference from exact is not measured for these metrics."
    )
    return [f"Features were computed fast, in bfloat16; the reference's are exact. {measured}"]


def _not_shown(store: Store, suite: str, precision: str) -> list[str]:
    """Runs of an older form of the suite, and of the other precision."""
    runs, digests = store.query(
        "SELECT count(DISTINCT run), count(DISTINCT suite_digest) FROM leaderboard "
        "WHERE suite = ? AND precision = ? AND NOT is_current",
        [suite, precision],
    ).rows[0]
    told = []
    if runs:
        told.append(
            f"Not shown: {_runs(runs)} measured before the suite changed "
            f"({digests} older digest{'s' * (digests > 1)}); `genbench run {suite}{_option(precision)}` repeats them."
        )
    other = _other(precision)
    apart = store.query(
        "SELECT count(DISTINCT run) FROM leaderboard WHERE suite = ? AND precision = ? AND is_current", [suite, other]
    ).rows[0][0]
    if apart:
        told.append(f"Not shown: {_runs(apart)} measured {other}; `genbench leaderboard {suite}{_option(other)}`.")
    return told


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count > 1)}"
