"""Published figures and the claims of cards as rows of the store's tables, as ``published.sql`` describes them."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from genbench.errors import ConfigError
from genbench.store.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genbench.cards import MethodCard
    from genbench.published import Figure

_TABLES: Mapping[str, str] = MappingProxyType(
    {
        "epochs-to-fid2.csv": "published_epochs",
        "irepa-encoders.csv": "irepa_encoders",
        "irepa-scatter.csv": "irepa_scatter",
        "network-costs.csv": "network_costs",
    }
)
"""Files of a shape of their own, and their tables; all others hold figures."""

PUBLISHED_TABLES = ("published", *_TABLES.values())


def published_rows(path: Path) -> tuple[str, list[Row]]:
    """The table that a file of ``registry/published`` belongs to, and its rows.

    Raises `ConfigError` as `genbench.published.read_rows` does.
    """
    from genbench.published import read_figures, read_rows, row_model

    if path.name in _TABLES:
        return _TABLES[path.name], [row.model_dump() for row in read_rows(row_model(path), path)]
    return "published", [_figure_row(figure, path.name) for figure in read_figures(path)]


def _figure_row(figure: Figure, file: str) -> Row:
    from genbench.published import canonical_metric

    metric, direction = canonical_metric(figure.metric)
    return {**figure.model_dump(), "metric": metric, "metric_name": figure.metric, "direction": direction, "file": file}


def claim_rows(card: MethodCard, path: str) -> list[Row]:
    """The rows of `claims`.

    Raises `ConfigError` for a claim of a metric that the catalog does not hold.
    """
    from genbench.published import canonical_metric

    rows: list[Row] = []
    for variant_name, variant in card.variants.items():
        for index, claim in enumerate(variant.claims):
            try:
                metric, _ = canonical_metric(claim.metric)
            except ValueError as error:
                key = f"variants.{variant_name}.claims.{index}.metric"
                raise ConfigError(f"{path}: {key}: {error}", hint="`genbench list metrics` has the names") from error
            rows.append(
                {
                    **claim.model_dump(),
                    "method": card.method.id,
                    "variant": variant_name,
                    "run": f"{variant_name}@{claim.preset}" if claim.preset else None,
                    "metric": metric,
                    "metric_name": claim.metric,
                }
            )
    return rows
