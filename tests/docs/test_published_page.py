"""The queries of docs/published.md give the answers that stand below them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from genbench.report import tables
from genbench.store import Store

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "published.md"
EXAMPLES = re.findall(r"```sql\n(.*?)```\n\n```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store.open(tmp_path_factory.mktemp("results"), registry=[REPOSITORY / "registry"]) as opened:
        yield opened


def test_every_query_has_its_answer() -> None:
    assert len(EXAMPLES) == PAGE.read_text(encoding="utf-8").count("```sql") >= 5


@pytest.mark.parametrize(("query", "answer"), EXAMPLES)
def test_the_queries_of_the_page(store: Store, query: str, answer: str) -> None:
    rows = store.query(query)
    assert tables.aligned(*tables.readable(rows.columns, rows.rows)) == answer


def test_the_counts_of_the_page(store: Store) -> None:
    counts = store.query("SELECT count(*), count(DISTINCT method) FROM published").rows[0]
    text = PAGE.read_text(encoding="utf-8")
    assert f"{counts[0]:,} figures of {counts[1]}\nmethods" in text
