"""The queries of docs/sql.md give the answers that stand below them, and the page names every view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from genbench.records import ContributionFacts
from genbench.report import tables
from genbench.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import Add

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)

CARD = '[method]\nid = "snapshots"\nname = "Snapshots"\ntitle = "t"\nsampler = "sit"\n' + "".join(
    f"""
[variants.toy-e{epochs}]
summary = "A checkpoint."
dataset = "emoji32"
resolution = 32
classes = 9
quantise = "round"
default_preset = "ode"
checkpoint = {{ training = "toy-run", epochs = {epochs} }}
network = {{}}
presets.ode = {{}}
"""
    for epochs in (10, 20, 40, 80)
)
FD, PRECISION = "fd@inception-tf", "precision@inception-tf"


@pytest.fixture
def store(tmp_path: Path, add: Add) -> Iterator[Store]:
    """The example that the page speaks of."""
    results, registry = tmp_path / "results", tmp_path / "registry"
    runs = {"ode": ((20.1, 0.6), 50, 0.02), "ode-cfg2": ((14.3, 0.5), 100, 0.04), "sde": ((21.0, 0.7), 250, 0.1)}
    number = 0
    for preset, ((value, stderr), nfe, seconds) in runs.items():
        for block in range(2):
            add(
                results,
                number,
                f"toy@{preset}",
                {FD: (value + 0.5 * block, stderr), PRECISION: (0.9 - value / 50, 0.01)},
                block=block,
                n=5000,
                costs={"nfe": nfe, "seconds_per_image": seconds},
                contributions=tuple(
                    ContributionFacts(
                        metric=FD, label=label, name=name, n=2500, contribution=part + 0.2 * block, stderr=0.3
                    )
                    for label, (name, part) in enumerate([("animals", -3.1), ("flags", 2.9)])
                ),
            )
            number += 1
    for epochs, value in ((10, 60.0), (20, 28.0), (40, 29.5), (80, 19.0)):
        add(results, number, f"toy-e{epochs}@ode", {FD: (value, 0.8)}, n=5000, costs={"seconds_per_image": None})
        number += 1
    add(results, number, "toy@ode", {FD: (95.0, 9.0)}, n=64, limited=True)
    registry.mkdir()
    (registry / "snapshots.toml").write_text(CARD)
    with Store.open(results, registry=[registry]) as opened:
        yield opened


def test_the_queries_of_the_page(store: Store) -> None:
    assert len(EXAMPLES) == PAGE.count("```sql") >= 10
    for query, answer in EXAMPLES:
        rows = store.query(query)
        assert tables.aligned(*tables.readable(rows.columns, rows.rows)) == answer


def test_the_page_names_every_view(store: Store) -> None:
    for (view,) in store.query("SELECT view_name FROM duckdb_views() WHERE NOT internal").rows:
        assert f"\n| `{view}` |" in PAGE
