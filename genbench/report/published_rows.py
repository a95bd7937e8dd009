"""Published figures as rows of a leaderboard: marked, below what was measured, and without a rank."""

from __future__ import annotations

from collections.abc import Sequence

from genbench.report.tables import cell
from genbench.store import Store

MARK = "†"


def published_cells(store: Store, suites: Sequence[str], metrics: Sequence[str]) -> list[tuple[str, ...]]:
    """Rows of the wide table: a row a setting of a system of a source, best first by the first metric.

    Figures are those on the data set and of the resolution of one of the suites, in the metrics of the table.
    """
    answer = store.query(
        """
        SELECT
            concat_ws(' ', system, variant, guidance, sampler) AS setting,
            map_from_entries(list((metric, coalesce(bound, '') || value))) AS figures,
            'published' || coalesce(' (' || evaluator || ')', '') AS protocol,
            min(CASE metric WHEN ? THEN CASE direction WHEN 'lower' THEN value ELSE -value END END) AS loss,
            n,
            nfe
        FROM (
            SELECT DISTINCT ON (metric, system, variant, guidance, sampler, evaluator, n, nfe, source) published.*
            FROM published
            JOIN suites ON published.dataset = suites.dataset AND published.resolution = suites.resolution
            WHERE suite IN (SELECT unnest(?::VARCHAR[])) AND metric IN (SELECT unnest(?::VARCHAR[]))
            ORDER BY published.file, value
        )
        GROUP BY system, variant, guidance, sampler, evaluator, n, nfe, source
        ORDER BY loss NULLS LAST, setting, n, nfe, source
        """,
        [metrics[0], list(suites), list(metrics)],
    )
    return [
        (
            MARK,
            cell(setting),
            *(_figure(figures.get(metric)) for metric in metrics),
            cell(n),
            cell(protocol),
            cell(nfe),
            "",
            "",
            "",
        )
        for setting, figures, protocol, _, n, nfe in answer.rows
    ]


def _figure(text: str | None) -> str:
    """As printed: ``2.0`` is 2."""
    return "" if text is None else text.removesuffix(".0")
