"""`genbench check` on models: noised weights fail it, equal ones pass, few images of a slight change tell nothing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.pipeline.conftest import Answer, World, call

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTRY = Path(__file__).parents[2] / "registry"
RUN = "sit-emoji32@ode8-cfg2"
FD = "fd@effnet-lite0"
GATES = '\n[[gates]]\nmetric = "fd@effnet-lite0"\nfactor = 1.05\n'


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The embedded model, measured on 48 images."""
    world = World(tmp_path_factory.mktemp("trained"))
    suite = world.add_suite("gated", images=48, metrics=[FD])
    suite.write_text(suite.read_text().replace("tiny@*", RUN) + GATES)
    with_noise(world, 0.0)
    world.run("gated").ok()
    return world


def with_noise(world: World, share: float) -> None:
    """Give the embedded model's weights noise of so many of their standard deviations."""
    generator = torch.Generator().manual_seed(0)
    name = "sit-emoji32.safetensors"
    weights = {
        key: tensor + share * tensor.std(unbiased=False) * torch.randn(tensor.shape, generator=generator)
        for key, tensor in load_file(REGISTRY / "weights" / name).items()
    }
    path = world.registry / "weights" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, path)
    old = hashlib.sha256((REGISTRY / "weights" / name).read_bytes()).hexdigest()
    card = (REGISTRY / "sit.toml").read_text()
    assert old in card
    world.add_card(card.replace(old, hashlib.sha256(path.read_bytes()).hexdigest()), "sit")


def check(baseline: World, changed: World, *arguments: str) -> Answer:
    folders = (f"--results={changed.results}", f"--registry={changed.registry}", f"--suites={changed.suites}")
    return call("check", "gated", f"--baseline={baseline.results}", f"--cache={changed.cache}", *folders, *arguments)


@pytest.fixture
def remade(trained: World, tmp_path: Path) -> Callable[[float], World]:
    """A world like the trained one, but for noise on the weights, measured anew with the same cache."""

    def make(share: float) -> World:
        world = trained.copy(tmp_path / "changed")
        for record in world.results.glob("*/*/*.json"):
            record.unlink()
        with_noise(world, share)
        world.run("gated").ok()
        return world

    return make


def test_noised_weights_fail(trained: World, remade: Callable[[float], World]) -> None:
    answer = check(trained, remade(0.6), "--format", "json")
    (gate,) = json.loads(answer.out)
    assert (gate["verdict"], gate["run"], gate["paired"]) == ("worse", RUN, True)
    assert answer.code == 1


def test_equal_weights_pass(trained: World, remade: Callable[[float], World]) -> None:
    answer = check(trained, remade(0.0), "--strict", "--format", "json")
    (gate,) = json.loads(answer.out)
    assert (gate["verdict"], gate["difference"]) == ("same", 0.0)
    assert answer.code == 0


def test_a_slight_change_on_few_images_is_inconclusive(trained: World, remade: Callable[[float], World]) -> None:
    world = remade(0.05)
    answer = check(trained, world, "--format", "json", "--cache", str(world.root / "none"))
    (gate,) = json.loads(answer.out)
    assert (gate["verdict"], gate["paired"]) == ("inconclusive", False)
    assert gate["n_needed"] > gate["n"] == 48
    assert answer.code == 0
    # The same images, paired: what independent errors hide is known better.
    (paired,) = json.loads(check(trained, world, "--format", "json").out)
    assert paired["paired"]
    assert paired["difference"] == gate["difference"]
    assert paired["difference_stderr"] < gate["difference_stderr"]
