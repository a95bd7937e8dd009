"""The query that says how much faster than SiT a training of the zoo is, on curves made up for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from genbench.store import Store
from zoo.configuration import HERE

if TYPE_CHECKING:
    from tests.unit.conftest import Add

CARD = """
[method]
id = "toys"
name = "Toys"
title = "Trainings that never were"
sampler = "sit"
"""

VARIANT = """
[variants.{name}]
summary = "Random weights."
dataset = "emoji32"
resolution = 32
classes = 9
quantise = "round"
default_preset = "ode"
checkpoint = {{ training = "{training}", epochs = {epochs} }}
network = {{ hidden_size = 32 }}
presets.ode = {{ steps = 2 }}
"""

# FID after so many epochs.
CURVES = {
    "sit-small-emoji32": {10.0: 300.0, 20.0: 250.0, 40.0: 210.0, 80.0: 200.0},
    "faster": {10.0: 260.0, 20.0: 199.0, 40.0: 205.0, 80.0: 150.0},
    "at-once": {10.0: 190.0, 80.0: 180.0},
    "never": {10.0: 300.0, 80.0: 200.5},
}


def test_epochs_to_the_fid_of_sit_with_bracket_censoring_and_factor(tmp_path: Path, add: Add) -> None:
    registry = tmp_path / "registry"
    registry.mkdir()
    card, second = CARD, 0
    for training, curve in CURVES.items():
        for epochs, fid in curve.items():
            name, second = f"{training}-{epochs:03.0f}", second + 1
            card += VARIANT.format(name=name, training=training, epochs=epochs)
            add(tmp_path, second, f"{name}@ode", {"fd@inception-tf": (fid, 1.0)}, suite="emoji32-training")
    (registry / "toys.toml").write_text(card)
    with Store.open(tmp_path, registry=[registry]) as store:
        found = store.query((HERE / "speedup.sql").read_text())
    assert list(found.columns) == ["training", "fid", "epochs", "above", "speedup"]
    assert found.rows == [
        ("at-once", 200.0, "10.0", 0.0, 8.0),
        ("faster", 200.0, "20.0", 10.0, 4.0),
        ("sit-small-emoji32", 200.0, "80.0", 40.0, 1.0),
        ("never", 200.0, "> 80.0", None, None),
    ]
