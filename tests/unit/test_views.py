"""The views beside `leaderboard`: pairs, fronts, curves and when they reach an FID."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from genbench.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import Add

FD = "fd@inception-tf"

VARIANT = """
[variants.{name}]
summary = "Random weights."
dataset = "emoji32"
resolution = 32
classes = 9
quantise = "round"
default_preset = "ode"
network = {{ hidden_size = 32 }}
presets.ode = {{ steps = 2 }}
"""


def ask(results: Path, sql: str, *registry: Path) -> list[tuple[Any, ...]]:
    with Store.open(results, registry=registry) as store:
        return store.query(sql).rows


def test_counted_are_the_latest_record_of_each_block_of_the_latest_weights(tmp_path: Path, add: Add) -> None:
    add(tmp_path, 1, "toy@a", {FD: (9.0, 1.0)})
    add(tmp_path, 2, "toy@a", {FD: (8.0, 1.0)})
    add(tmp_path, 3, "toy@a", {FD: (7.0, 1.0)}, block=1)
    add(tmp_path, 4, "toy@a", {FD: (6.0, 1.0)}, suite_digest="6" * 64)
    add(tmp_path, 5, "toy@a", {FD: (5.0, 1.0)}, suite_digest="6" * 64, limited=True)
    rows = ask(tmp_path, "SELECT right(record_id, 1), block, is_current FROM counted ORDER BY ALL")
    assert rows == [("2", 0, False), ("3", 1, False), ("4", 0, True)]


def test_pairs_are_of_one_protocol_and_know_the_direction(tmp_path: Path, add: Add) -> None:
    add(tmp_path, 1, "toy@a", {FD: (10.0, 3.0), "precision@toy": (0.5, None)})
    add(tmp_path, 2, "toy@b", {FD: (12.0, 4.0), "precision@toy": (0.75, 0.1)})
    add(tmp_path, 3, "toy@c", {FD: (12.0, 4.0)}, n=512)
    rows = ask(tmp_path, "SELECT metric, run, other, difference, stderr, is_better FROM comparable ORDER BY ALL")
    # Root of 3² + 4² by hand; without a standard error on one side there is none of the difference.
    assert rows == [
        (FD, "toy@a", "toy@b", -2.0, 5.0, True),
        (FD, "toy@b", "toy@a", 2.0, 5.0, False),
        ("precision@toy", "toy@a", "toy@b", -0.25, None, False),
        ("precision@toy", "toy@b", "toy@a", 0.25, None, True),
    ]


@pytest.mark.parametrize(("metric", "sign"), [(FD, 1), ("precision@toy", -1)])
def test_front_holds_what_no_cheaper_run_reaches(tmp_path: Path, add: Add, metric: str, sign: int) -> None:
    measured = {"a": (10, 30.0), "b": (10, 31.0), "c": (20, 30.0), "d": (20, 32.0), "e": (50, 20.0), "f": (90, 25.0)}
    for number, (name, (nfe, value)) in enumerate(measured.items()):
        costs = {"nfe": nfe, "seconds_per_image": None}
        add(tmp_path, number, f"toy@{name}", {metric: (sign * value, 1.0)}, costs=costs)
    rows = ask(tmp_path, "SELECT run FROM pareto WHERE on_front ORDER BY ALL")
    assert rows == [("toy@a",), ("toy@e",)]


def test_seconds_compete_on_one_device_only(tmp_path: Path, add: Add) -> None:
    slow: dict[str, Any] = {"costs": {"nfe": None, "seconds_per_image": 2.0}, "provenance": {"device": "tortoise"}}
    add(tmp_path, 1, "toy@fast", {FD: (1.0, 0.1)}, costs={"nfe": None, "seconds_per_image": 1.0})
    add(tmp_path, 2, "toy@slow", {FD: (2.0, 0.1)}, **slow)
    rows = ask(tmp_path, "SELECT run, cost_kind, device, cost, on_front FROM pareto ORDER BY ALL")
    assert rows == [
        ("toy@fast", "seconds_per_image", "cpu", 1.0, True),
        ("toy@slow", "seconds_per_image", "tortoise", 2.0, True),
    ]


def test_checkpoints_make_curves(tmp_path: Path, add: Add) -> None:
    values = {"e10": (10, 50.0), "e20": (20, 30.0), "e40": (40, 35.0), "e80": (80, 25.0)}
    card = '[method]\nid = "toy"\nname = "Toy"\ntitle = "t"\npaper = "p"\nsampler = "sit"\n' + VARIANT.format(
        name="final"
    )
    for number, (name, (epochs, fid)) in enumerate(values.items()):
        checkpoint = f'checkpoint = {{ training = "toy-run", epochs = {epochs} }}\n'
        card += VARIANT.format(name=name).replace("presets.ode", f"{checkpoint}presets.ode")
        add(tmp_path, number, f"{name}@ode", {FD: (fid, 1.0)})
    add(tmp_path, 9, "final@ode", {FD: (1.0, 1.0)})
    registry = tmp_path / "registry"
    registry.mkdir()
    (registry / "toy.toml").write_text(card)
    curve = ask(tmp_path, "SELECT training, preset, epochs, value FROM training_curve ORDER BY epochs", registry)
    assert curve == [("toy-run", "ode", float(epochs), fid) for epochs, fid in values.values()]
    reached = (
        "SELECT (SELECT min(epochs) FROM epochs_to_fid WHERE fid <= goal) FROM (VALUES (30), (29), (24)) AS g(goal)"
    )
    assert ask(tmp_path, reached, registry) == [(20.0,), (80.0,), (None,)]
    assert ask(tmp_path, "SELECT count(*) FROM epochs_to_fid", registry) == [(3,)]
