"""What metrics are called in tables for people."""

from __future__ import annotations

from genbench.errors import UsageError
from genbench.metrics.catalog import parse

ARROWS = {"lower": "↓", "higher": "↑"}
"""By direction: where better values are."""


def metric_label(metric: str) -> str:
    """The metric's name for a table; its id, where it is of another version of genbench."""
    try:
        return parse(metric).label
    except UsageError:
        return metric
