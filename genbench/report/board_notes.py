"""What stands below a leaderboard: what its numbers mean, what they do not, and what is not shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genbench.comparisons.measured import MetricKey
from genbench.comparisons.significance import CONFIDENCE
from genbench.report.labels import metric_label
from genbench.store import Store

Row = dict[str, Any]
"""A row of the view `leaderboard` by column."""


def table_notes(
    rows: Sequence[Row], columns: Sequence[MetricKey], widths: Mapping[str, int], *, paired: bool, published: bool
) -> list[str]:
    """Notes on the whole table."""
    counts = sorted({row["n"] for row in rows})
    how = "images of one seed compared with each other where their influences are known" if paired else "unpaired"
    blocks = sorted({row["n_blocks"] for row in rows})
    usually = "as a rule " if len(blocks) > 1 else ""  # pairs of runs are compared on the blocks that both have
    notes = [
        "Compare only rows with the same protocol and n. ↓ lower is better, ↑ higher.",
        f"A run's rank is one more than the number of runs with a better {metric_label(columns[0].metric)} whose "
        f"{CONFIDENCE:.0%} interval of the difference leaves 0 out ({how}). Runs of one rank are {usually}not told "
        "apart; neighbouring ranks may be tied too.",
        "± is one standard error over draws of the generated images, the reference held fixed.",
    ]
    if published:
        notes.append(
            "† published figures, as their sources print them: of other protocols than the measured rows, and so "
            'without a rank. `genbench sql "from published"` has their sources.'
        )
    if blocks != [1]:
        notes.append(
            f"Values are means over {blocks_measured(rows)} seed blocks of n images each; s is the sample standard "
            "deviation of the blocks' values, that of one block and not of the mean."
        )
    return notes + [_bias(column.metric, counts, widths) for column in columns if column.metric.startswith("fd@")]


def blocks_measured(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many seed blocks the runs have: a number, or the least and the most."""
    least, most = min(row["n_blocks"] for row in rows), max(row["n_blocks"] for row in rows)
    return str(most) if least == most else f"{least} to {most}"


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


def suite_notes(
    store: Store, suite: str, precision: str, columns: Sequence[MetricKey], rows: Sequence[Row]
) -> list[str]:
    """Notes on one suite: seed blocks that lack, how far fast features carry, and what of it is not shown."""
    own = [row for row in rows if row["suite"] == suite]
    fast = [_deviations(store, suite, columns)] if precision == "fast" else []
    return _blocks_lacking(store, suite, own) + fast + _not_shown(store, suite, precision)


def _blocks_lacking(store: Store, suite: str, rows: Sequence[Row]) -> list[str]:
    """How many of the seed blocks that the suite's file asks for were measured, where some run lacks one."""
    asked = store.query("SELECT blocks FROM suites WHERE suite = ?", [suite]).rows
    counts = {row["n_blocks"] for row in rows}
    if not asked or not counts or min(counts) >= asked[0][0]:
        return []
    which = ", run by run in column n_blocks of `--format csv`" if len(counts) > 1 else ""
    return [f"Seed blocks measured: {blocks_measured(rows)} of suite {suite}'s {asked[0][0]}{which}."]


def precision_option(precision: str) -> str:
    """The option that asks a command for this precision."""
    return " --precision fast" if precision == "fast" else ""


def measuring_command(store: Store, suite: str, precision: str) -> str:
    """The command that measures a suite."""
    found = store.query("SELECT first_seed IS NULL FROM suites WHERE suite = ?", [suite]).rows
    of_reconstructions = bool(found) and found[0][0]
    command = f"genbench reconstruct {suite} ORIGINALS" if of_reconstructions else f"genbench run {suite}"
    return command + precision_option(precision)


def other_precision(precision: str) -> str:
    """The precision that is not this one."""
    return "exact" if precision == "fast" else "fast"


def _deviations(store: Store, suite: str, columns: Sequence[MetricKey]) -> str:
    """How far fast features took each metric from exact ones, where that was measured."""
    found = store.query(
        "SELECT metric, version, max(abs(deviation)), min(deviation_n) FROM measurements "
        "WHERE record_id IN (SELECT record_id FROM counted WHERE suite = ? AND precision = 'fast' AND is_current) "
        "AND deviation IS NOT NULL GROUP BY metric, version",
        [suite],
    ).rows
    largest = {MetricKey(metric, version): (deviation, n) for metric, version, deviation, n in found}
    told = [
        f"{metric_label(column.metric)} {largest[column][0]:.2g} ({largest[column][1]:,} images)"
        for column in columns
        if column in largest
    ]
    measured = (
        f"Largest difference from exact, on the first images of a block: {', '.join(told)}."
        if told
        else "Their difference from exact is not measured for these metrics."
    )
    return f"Features were computed fast, in bfloat16; the reference's are exact. {measured}"


def _not_shown(store: Store, suite: str, precision: str) -> list[str]:
    """Runs of an older form of the suite, and of the other precision."""
    runs, digests = store.query(
        "SELECT count(DISTINCT run), count(DISTINCT suite_digest) FROM counted "
        "WHERE suite = ? AND precision = ? AND NOT is_current",
        [suite, precision],
    ).rows[0]
    told = []
    if runs:
        told.append(
            f"Not shown: {_runs(runs)} measured before suite {suite} changed ({digests} older "
            f"digest{'s' * (digests > 1)}); `{measuring_command(store, suite, precision)}` repeats them."
        )
    other = other_precision(precision)
    apart = store.query(
        "SELECT count(DISTINCT run) FROM counted WHERE suite = ? AND precision = ? AND is_current", [suite, other]
    ).rows[0][0]
    if apart:
        command = f"`genbench leaderboard {suite}{precision_option(other)}`"
        told.append(f"Not shown: {_runs(apart)} measured {other}; {command}.")
    return told


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count > 1)}"
