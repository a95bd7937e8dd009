"""Correlograms of generated and of real images, where a metric of the suite reads them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genbench.errors import GenbenchError
from genbench.report.figures import correlogram
from genbench.report.figures.canvas import Record
from genbench.report.figures.chart import Scope, records
from genbench.report.html.neighbours import kept_features, training
from genbench.report.html.section import Made, Section, absent, drawn
from genbench.report.html.settings import Settings
from genbench.store import Rows, Store

SQL = """
SELECT
    counted.run, images_digest, first_seed, runs.n, reference, reference_sha256, space, space_digest
FROM counted
JOIN runs USING (record_id)
JOIN measurements USING (record_id)
WHERE counted.suite = {suite} AND counted.precision = {precision} AND is_current AND counted.n = {n}
  AND space LIKE '%/correlogram' AND first_seed IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY counted.run ORDER BY space, counted.block, position) = 1
ORDER BY counted.run
"""
COLUMNS = ("run", "distance", "value", "stderr", "n")


def correlograms(store: Store, scope: Scope, runs: Sequence[str], settings: Settings) -> Made:
    """Mean correlogram of every run and of the reference, from cached features."""
    question = scope.fill(SQL)
    section = Section(
        "correlogram",
        "Likeness of patches by distance",
        "Mean cosine of two patch tokens of an image against their distance on the grid. Bands are two standard "
        "errors. Where a curve lies below the real one, patches so far apart are less alike than in real images.",
        question,
    )
    found = {row["run"]: row for row in records(store.query(question))}
    chosen = [found[run] for run in runs if run in found]
    if not chosen:
        return absent(
            section,
            f"No metric of suite {scope.suite} reads correlograms: add one, such as cfd@effnet-lite0/correlogram, to "
            "the metrics of a suite file, and genbench run that suite.",
        )
    try:
        data = [*_real(chosen[0], settings), *(point for row in chosen for point in _generated(row, settings))]
    except GenbenchError as error:
        return absent(section, f"{error}: {error.hint}.")
    space = chosen[0]["space"]
    section = section._replace(note=f"In {space}, first seed block; the query names the features, which the cache has.")
    return drawn(section, Rows(COLUMNS, [tuple(row.values()) for row in data]), correlogram.draw, runs)


def _real(row: Record, settings: Settings) -> list[Record]:
    reference = training(row, settings).reference
    stderr = np.sqrt(np.diag(reference.cov) / reference.n)
    return _points(correlogram.REAL, reference.mean, stderr, reference.n)


def _generated(row: Record, settings: Settings) -> list[Record]:
    features = kept_features(row, range(row["first_seed"], row["first_seed"] + row["n"]), settings).astype(np.float64)
    return _points(row["run"], features.mean(0), features.std(0, ddof=1) / len(features) ** 0.5, len(features))


def _points(run: str, values: np.ndarray, stderrs: np.ndarray, n: int) -> list[Record]:
    return [
        dict(zip(COLUMNS, (run, distance, float(value), float(stderr), n), strict=True))
        for distance, (value, stderr) in enumerate(zip(values, stderrs, strict=True))
    ]
