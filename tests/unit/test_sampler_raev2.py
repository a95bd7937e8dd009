"""RAEv2's guidance and steps. tests/golden compares whole runs with the authors' code."""

import pytest
import torch
from pydantic import ValidationError

from genbench.methods.noise import SeededNoise
from genbench.methods.raev2.network import GridAndTokens, InContextDiTDH
from genbench.methods.raev2.sampler import RAEv2Sampler
from genbench.methods.raev2.settings import RAEv2Network, RAEv2Settings
from genbench.validate import random_state

NETWORK = {"input_size": 4, "in_channels": 6, "hidden_size": [16, 24], "depth": [3, 1], "num_heads": [2, 3]}
NETWORK |= {"num_classes": 5, "base_model_depth": 2}


def sampler(**settings):
    with torch.device("meta"):
        module = InContextDiTDH(**NETWORK)
    return RAEv2Sampler(
        network=NETWORK,
        settings=RAEv2Settings(**settings),
        state=random_state(module),
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("guidance", ["none", "internal", "cfg"])
def test_image_i_is_the_same_at_batch_1_and_3_in_as_many_evaluations_as_said(guidance):
    made = sampler(steps=3, shift=8.0, guidance=guidance, scale=1.78)
    whole = made.sample(SeededNoise(range(3)), torch.arange(3))
    for i in range(3):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([i]))[0], whole[i], atol=1e-5)
    calls = []
    made.network.register_forward_hook(lambda *_: calls.append(1))
    made.sample(SeededNoise([0]), torch.tensor([0]))
    assert made.nfe == len(calls) == 3


def test_of_estimates_that_are_the_data_every_step_ends_in_it_but_for_the_cut_velocity():
    """With t_eps below the last shifted time, Euler's last step goes from t to 0 at velocity (x - data)/t."""
    made = sampler(steps=4, shift=8.0, t_eps=0.001)
    made.estimates = lambda x, t, y: (torch.full_like(x, 2.0), torch.zeros_like(x))
    assert torch.allclose(made.sample(SeededNoise([1]), torch.tensor([0])), torch.full((1, 6, 4, 4), 2.0), atol=1e-5)


def test_internal_guidance_leads_away_from_the_early_estimate_within_its_times():
    made = sampler(steps=4, guidance="internal", scale=3.0, t_min=0.4, t_max=0.6)
    made.estimates = lambda x, t, y: (torch.full_like(x, 2.0), torch.ones_like(x))
    x, y = torch.zeros(1, 6, 4, 4), torch.tensor([0])
    inside, outside = (float(made.data(x, torch.tensor([time]), y).mean()) for time in (0.4, 0.7))
    assert (inside, outside) == (1 + 3.0 * (2 - 1), 2)


def test_the_early_estimate_does_not_see_the_last_blocks():
    made, x = sampler(), torch.randn(1, 6, 4, 4, generator=torch.Generator().manual_seed(1))
    t, y = torch.tensor([0.5]), torch.tensor([1])
    with torch.inference_mode():
        full, early = made.estimates(x, t, y)
        made.network.blocks[2].mlp.w3.weight.mul_(3)
        changed, same = made.estimates(x, t, y)
    assert torch.equal(early, same)
    assert not torch.allclose(full, changed)


def test_tokens_behind_the_grid_do_not_turn():
    table = GridAndTokens(8, 3, 2)()
    x = torch.randn(1, 1, 11, 8, generator=torch.Generator().manual_seed(2))
    turned = table.apply(x)
    assert torch.equal(turned[:, :, 9:], x[:, :, 9:])
    assert not torch.allclose(turned[:, :, 1:9], x[:, :, 1:9])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"num_heads": [3, 3]}, "num_heads 3 does not divide hidden_size 16"),
        ({"num_heads": [8, 3]}, "rotary positions need a head width that 4 divides"),
        ({"base_model_depth": 4}, "beyond the encoder's 3 blocks"),
    ],
)
def test_networks_that_make_no_sense_are_refused(changed, message):
    with pytest.raises(ValidationError, match=message):
        RAEv2Network(**NETWORK | changed)


def test_an_interval_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValidationError, match="ends before it starts"):
        RAEv2Settings(t_min=0.8, t_max=0.2)
