"""A checkpoint that needs code to be read: refused, unless the command line says otherwise, which the record names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from tests.pipeline.conftest import CARD, NETWORK, call, toml

if TYPE_CHECKING:
    import pytest

    from tests.pipeline.conftest import World


class Touch:
    """Somebody's class: to unpickle it is to touch a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def add_checkpoint(world: World, trace: Path) -> Path:
    """The world's card with a checkpoint beside its weights, as a training script might have written it."""
    weights = world.registry / "weights"
    path = weights / "tiny.pt"
    torch.save({"ema": load_file(weights / "tiny.safetensors"), "options": Touch(trace)}, path)
    source = 'weights = {{ file = "tiny.safetensors", sha256 = "{sha256}" }}'
    assert source in CARD
    card = CARD.replace(source, 'weights = {{ file = "tiny.pt", entry = "ema" }}')
    world.add_card(card.format(network=toml(NETWORK)))
    return path


def test_a_checkpoint_with_code_is_refused_and_says_both_ways_out(world: World, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    path = add_checkpoint(world, trace)
    error, hint = world.run("cheap", "-m", "tiny").problem(1)
    assert f"{path}: is damaged, or needs code execution to load" in error
    assert "`genbench run` takes --allow-pickle" in hint
    assert f"genbench weights convert {path}" in hint
    assert not trace.exists()
    assert world.records() == []


def test_a_checkpoint_that_may_run_code_is_measured_and_its_record_says_so(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "it ran"
    add_checkpoint(world, trace)
    monkeypatch.setattr(sys, "argv", ["genbench", "run", "cheap", "--allow-pickle"])
    world.run("cheap", "-m", "tiny", "--allow-pickle").ok()
    assert trace.exists()
    (record,) = world.records()
    assert "--allow-pickle" in record.provenance.argv


def test_the_converted_checkpoint_needs_no_leave(world: World, tmp_path: Path) -> None:
    path = add_checkpoint(world, tmp_path / "it ran")
    out = world.registry / "weights" / "converted.safetensors"
    call("weights", "convert", path, out, "--entry", "ema", "--allow-pickle").ok()
    card = world.registry / "tiny.toml"
    card.write_text(
        card.read_text().replace('{ file = "tiny.pt", entry = "ema" }', '{ file = "converted.safetensors" }')
    )
    world.run("cheap", "-m", "tiny").ok()
    (record,) = world.records()
    assert record.run is not None
    assert "--allow-pickle" not in record.provenance.argv
