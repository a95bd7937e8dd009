"""The methods and suites that come with genbench, from their files."""

from __future__ import annotations

from pathlib import Path

from genbench.cards import MethodCard, load_cards
from genbench.suites import load_suite, suite_files
from tools.reference.markdown import code, page, table
from tools.reference.metrics import cited

_REPOSITORY = Path(__file__).parents[2]


def registry() -> str:
    """The page of methods and suites."""
    cards = [card for card in load_cards([_REPOSITORY / "registry"]).values() if card.variants]
    suites = [load_suite(path) for path in suite_files([_REPOSITORY / "suites"]).values()]
    return page(
        "Methods and suites",
        "A run is `variant@preset`. `genbench show method NAME` prints a card or a variant, `genbench show suite "
        "NAME` a suite. Methods that genbench cannot run are in [the published literature](../published.md).",
        "## Methods",
        table(("card", "method", "paper", "family", "variants"), map(_method, cards)),
        "## Suites",
        table(
            ("suite", "measures", "metrics"),
            [(code(suite.id), suite.title, ", ".join(map(code, suite.metrics))) for suite in suites],
        ),
    )


def _method(card: MethodCard) -> tuple[str, ...]:
    method = card.method
    return (
        code(method.id),
        method.name,
        f"{method.title} {cited(method.paper or '')}".strip(),
        code(card.sampler),
        ", ".join(map(code, card.variants)),
    )
