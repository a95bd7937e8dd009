"""Published figures as tables for people: which methods have some, and those of one method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genbench.cards import MethodCard
from genbench.published import Figure

OVERVIEW = ("method", "printed_as", "figures", "card")

NAMES = 3
"""Printed names of a method that are told before the rest is only counted."""

HEADINGS = (
    "variant",
    "images",
    "metric",
    "value",
    "n",
    "classes",
    "guidance",
    "NFE",
    "measured with",
    "evidence",
    "source",
)


def overview(figures: Sequence[Figure], cards: Mapping[str, MethodCard]) -> list[tuple[Any, ...]]:
    """A row a method, in the columns of `OVERVIEW`: what it is called, and whether genbench runs it."""
    systems: dict[str, dict[str, None]] = {}
    counts: dict[str, int] = {}
    for figure in figures:
        systems.setdefault(figure.method, {})[figure.system] = None
        counts[figure.method] = counts.get(figure.method, 0) + 1
    return [
        (method, _listed(list(systems[method])), counts[method], _told(cards.get(method))) for method in sorted(counts)
    ]


def _told(card: MethodCard | None) -> str | None:
    if card is None:
        return None
    return "score only" if card.method.unavailable else "runs"


def _listed(names: Sequence[str]) -> str:
    told = ", ".join(names[:NAMES])
    return f"{told} and {len(names) - NAMES} more" if len(names) > NAMES else told


def cells(figures: Sequence[Figure]) -> list[list[str]]:
    """Cells under `HEADINGS`: one line a figure."""
    return [
        [
            figure.variant or figure.system,
            f"{figure.dataset or ''} {figure.resolution or ''}".strip(),
            figure.metric,
            f"{figure.bound or ''}{figure.value:g}",
            str(figure.n or ""),
            figure.labels or "",
            figure.guidance or "",
            str(figure.nfe or ""),
            figure.evaluator or "",
            figure.evidence,
            figure.source,
        ]
        for figure in figures
    ]


def notes(card: MethodCard | None) -> list[str]:
    """What stands below the figures of a method: whether genbench runs it."""
    if card is None:
        return []
    method = card.method
    if method.unavailable:
        return [f"{method.name} cannot be run: {method.unavailable} `genbench score` measures images of it."]
    return [f"genbench runs {method.name}: {', '.join(card.variants)}"]
