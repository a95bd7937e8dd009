"""From a run to its weights and sampler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genbench.cards import load_card, load_cards
from genbench.errors import UsageError, WeightsError
from genbench.methods.dit.network import DiT
from genbench.methods.loading import WeightsOnDisk, find_weights, load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import Run, make_run
from genbench.methods.sit.sampler import SiTSampler
from genbench.weights import load_tensors

REGISTRY = Path(__file__).parents[2] / "registry"


def test_a_run_of_latents_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    run = make_run(load_cards([REGISTRY])["sit"], "sit-xl2-256", "sde250-cfg1.5", {})
    with pytest.raises(UsageError, match="no latent decoders yet") as refusal:
        find_weights(run, cache=tmp_path, registry=[REGISTRY])
    assert "genbench score" in refusal.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("preset", ["ode8-cfg2", "heun12-cfg2"])
def test_the_embedded_model_loads_and_paints_on_white(tmp_path: Path, preset: str) -> None:
    run = make_run(load_cards([REGISTRY])["sit"], "sit-emoji32", preset, {})
    weights = find_weights(run, cache=tmp_path, registry=[REGISTRY])
    assert weights is not None
    sampler = load_sampler(run, weights, "cpu")
    images = sampler.sample(SeededNoise([0, 1, 2, 3]), torch.tensor([2, 3, 5, 6]))
    assert images.shape == (4, 3, 32, 32)
    assert sampler.parameters == sum(tensor.numel() for tensor in load_tensors(weights.path).values())
    corners = images[:, :, ::31, ::31].flatten(1)
    assert (corners > 0.8).float().mean() > 0.9, "an emoji leaves the corners white"


CARD = """
[method]
id = "boxed"
name = "Boxed"
title = "Boxed"
sampler = "sit"
[variants.boxed]
summary = "a network inside a checkpoint"
dataset = "emoji32"
resolution = 8
classes = 3
quantise = "round"
default_preset = "ode"
presets.ode = { mode = "ode", steps = 2 }
[variants.boxed.network]
input_size = 8
patch_size = 4
in_channels = 3
hidden_size = 16
depth = 1
num_heads = 2
num_classes = 3
[variants.boxed.weights]
file = "boxed.pt"
"""


def boxed(tmp_path: Path, part: str) -> Run:
    path = tmp_path / "boxed.toml"
    path.write_text(CARD + part)
    return make_run(load_card(path), "boxed", "ode", {})


def test_the_entry_and_prefix_of_a_checkpoint_are_what_is_loaded(tmp_path: Path) -> None:
    run = boxed(tmp_path, 'entry = "ema"\nprefix = "net."')
    state = DiT(**run.variant.network).state_dict()
    other = {f"net.{key}": torch.zeros_like(value) for key, value in state.items()}
    inside = {f"net.{key}": value for key, value in state.items()} | {"head.weight": torch.zeros(2)}
    path = tmp_path / "boxed.pt"
    torch.save({"model": other, "ema": inside, "step": 7}, path)
    sampler = load_sampler(run, WeightsOnDisk(path, "0" * 64), "cpu")
    assert isinstance(sampler, SiTSampler)
    assert all(torch.equal(value, state[key]) for key, value in sampler.network.state_dict().items())


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ('entry = "ema"\nprefix = "ema_net."', r"no key begins with 'ema_net\.' \(the first is 'net\."),
        ('entry = "emma"', r"no entry 'emma' \(it has \['ema'\]\)"),
        ("", "not a mapping of names to tensors"),
        ('entry = "ema"', r"unexpected net\.blocks"),
    ],
)
def test_a_part_that_the_checkpoint_does_not_have_is_named(tmp_path: Path, part: str, message: str) -> None:
    run = boxed(tmp_path, part)
    path = tmp_path / "boxed.pt"
    torch.save({"ema": {f"net.{key}": value for key, value in DiT(**run.variant.network).state_dict().items()}}, path)
    with pytest.raises(WeightsError, match=message):
        load_sampler(run, WeightsOnDisk(path, "0" * 64), "cpu")


def test_the_part_of_a_checkpoint_is_in_the_digest_of_a_run(tmp_path: Path) -> None:
    parts = ["", 'entry = "ema"', 'entry = "model"', 'prefix = "ema"', 'entry = "ema"\nprefix = "net."']
    assert len({boxed(tmp_path, part).digest("0" * 64) for part in parts}) == len(parts)
