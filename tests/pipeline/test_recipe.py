"""A run's images go to another process as a recipe, which finds the weights where it is opened."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from genbench.cards import load_cards
from genbench.engine.recipe import Recipe
from genbench.errors import WeightsError
from genbench.evaluation import Extraction
from genbench.methods.runs import select
from genbench.protocol import load_protocol
from genbench.references import Shelf
from genbench.runner import Settings, blocks
from genbench.suites import find_suite

if TYPE_CHECKING:
    from tests.pipeline.conftest import World

REPOSITORY = Path(__file__).parents[2]


def recipe(world: World, cache: Path) -> Recipe:
    """Of `tiny@ode2`."""
    suite, registry = find_suite("cheap", [world.suites]), [world.registry, REPOSITORY / "registry"]
    runs = select(load_cards([world.registry]), ["tiny"], {}, dataset=suite.dataset, resolution=suite.resolution)
    settings = Settings(results=world.results, cache=cache, registry=registry)
    (block,) = blocks(load_protocol(suite, Shelf(registry, cache)), runs, settings)
    assert isinstance(block.subject.open, Recipe)
    return block.subject.open


def sent(one: Recipe) -> Recipe:
    """As another process gets it."""
    copy = pickle.loads(pickle.dumps(one))
    assert isinstance(copy, Recipe)
    return copy


def test_the_images_are_the_same_in_another_process_that_works_in_another_folder(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = recipe(world, Path("cache"))
    pickled = pickle.dumps((here, Extraction([], device="cpu", cache=Path("cache"))))
    monkeypatch.chdir("/")
    there, extraction = pickle.loads(pickled)
    assert there.cache == extraction.cache == tmp_path / "cache"
    ours, theirs = (next(one().batches(0, 4, 4)).pixels for one in (here, there.here("cpu")))
    assert torch.equal(ours, theirs)


def test_weights_that_are_others_on_the_other_machine_are_refused(world: World, tmp_path: Path) -> None:
    card, weights = world.registry / "tiny.toml", world.registry / "weights" / "tiny.safetensors"
    text = card.read_text()
    start = text.index(", sha256")
    card.write_text(text[:start] + text[text.index('" }', start) + 1 :])  # a card whose authors publish no digest
    there = replace(sent(recipe(world, tmp_path / "here")), cache=tmp_path / "there")
    assert there.here("cpu").weights == there.weights
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(WeightsError, match="not those on the machine that planned the run"):
        replace(there, cache=tmp_path / "elsewhere").here("cpu")
