"""From a run to its weights and sampler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from genbench.cards import load_cards
from genbench.errors import UsageError
from genbench.methods.loading import find_weights, load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import make_run
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
