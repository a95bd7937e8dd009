"""RAE's sampler: its grid, guidance by the null class or by a weaker network, and the decoder's statistics.

tests/golden compares whole runs with the authors' code.
"""

import inspect

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import UsageError
from genbench.methods.latents.decoder import LatentStatistics
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.rae.network import DiTDH
from genbench.methods.rae.sampler import RAESampler
from genbench.methods.rae.settings import DiTDHNetwork, RAESettings

GUIDE = {
    "input_size": 3,
    "in_channels": 5,
    "hidden_size": (8, 16),
    "depth": (1, 1),
    "num_heads": (2, 2),
    "num_classes": 3,
}
NETWORK = {**GUIDE, "depth": (2, 1), "guide": GUIDE}
LABELS = torch.arange(8) % 3


def weights(network):
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    built = DiTDH(**network)
    for name, parameter in built.named_parameters():
        if "pos_embed" not in name:
            std = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.data.normal_(std=std, generator=generator)
    return built.state_dict()


def sampler(changes=None, state=None, **settings):
    network = {**NETWORK, **(changes or {})}
    return RAESampler(
        network=network,
        settings=RAESettings(**settings),
        state=state or weights(network),
        device=torch.device("cpu"),
    )


def noise(n):
    return torch.randn(n, 5, 3, 3, generator=torch.Generator().manual_seed(1))


AUTO = {"guidance": "autoguidance", "scale": 1.42}


@pytest.mark.parametrize("settings", [AUTO, {"guidance": "cfg", "scale": 2.0, "shift": 6.9}, {}], ids=str)
def test_image_i_is_the_same_at_batch_1_and_8(settings):
    made = sampler(steps=6, **settings)
    whole = made.sample(SeededNoise(range(8)), LABELS)
    assert (whole.shape, whole.dtype) == ((8, 5, 3, 3), torch.float32)
    assert made.nfe == 5
    for i in range(8):
        assert torch.allclose(made.sample(SeededNoise([i]), LABELS[i : i + 1]), whole[i : i + 1], atol=1e-4)


def test_one_step_away_from_the_guide_by_hand():
    """A grid of two points steps from 1 to 0.001: x' = x - 0.999·(guide + scale·(own - guide)), the same labels."""
    x, y, t = noise(2), LABELS[:2], torch.ones(2)
    made = sampler(steps=2, **AUTO)
    own, weaker = made.network(x, t, y), made.network.guide(x, t, y)
    expected = x - 0.999 * (weaker + 1.42 * (own - weaker))
    assert torch.allclose(made.sample(RecordedNoise([x]), y), expected, atol=1e-5)
    null = made.network(x, t, torch.full_like(y, 3))
    cfg = sampler(steps=2, guidance="cfg", scale=1.42).sample(RecordedNoise([x]), y)
    assert torch.allclose(cfg, x - 0.999 * (null + 1.42 * (own - null)), atol=1e-5)
    assert not torch.allclose(cfg, expected, atol=1e-2)


def test_guidance_includes_both_ends_of_its_interval():
    """The only step begins at t = 1."""
    x, y = noise(2), LABELS[:2]
    plain = sampler(steps=2).sample(RecordedNoise([x]), y)
    assert torch.equal(sampler(steps=2, **AUTO, t_max=0.99).sample(RecordedNoise([x]), y), plain)
    assert not torch.allclose(sampler(steps=2, **AUTO, t_min=1.0).sample(RecordedNoise([x]), y), plain, atol=1e-2)


def test_the_grid_is_shifted_and_stops_before_the_data():
    """One velocity at every time: x' = x - (1 - s·0.001 / (1 + (s - 1)·0.001))·v."""
    state = {key: torch.zeros_like(value) for key, value in weights(NETWORK).items()}
    state["final_layer.linear.bias"] += 1
    x = noise(2)
    found = sampler(state=state, steps=7, shift=4.0).sample(RecordedNoise([x]), LABELS[:2])
    assert torch.allclose(x - found, torch.full_like(x, 1 - 0.004 / 1.003), atol=1e-5)


def test_autoguidance_without_a_guide_is_refused():
    with pytest.raises(UsageError, match="needs a second network"):
        sampler({"guide": None}, **AUTO)


@pytest.mark.parametrize(
    "changes",
    [
        {"use_rope": False},
        {"use_swiglu": False},
        {"use_rmsnorm": False},
        {"use_qknorm": True},
        {"use_pos_embed": False},
        {"hidden_size": (16, 16)},
    ],
    ids=str,
)
def test_every_option_of_the_network_gives_velocities_of_the_latents(changes):
    x = noise(2)
    found = sampler(changes, steps=3).sample(RecordedNoise([x]), LABELS[:2])
    assert found.shape == x.shape
    assert not torch.allclose(found, x, atol=1e-2)


def test_statistics_restore_a_latent_by_hand():
    statistics = LatentStatistics.of_variance(
        mean=torch.tensor([[[2.0]]]), variance=torch.tensor([[[8.0]]]), epsilon=1.0
    )
    assert statistics.restore(torch.full((1, 1, 1, 1), 0.5)).item() == pytest.approx(3.5)


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(UsageError, match="classes 0 to 2"):
        sampler(steps=2).sample(RecordedNoise([noise(1)]), torch.tensor([3]))


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"steps": 1}, "steps"), ({"scale": 0.5}, "scale"), ({"guidance": "both"}, "guidance"), ({"end": 1.0}, "end")],
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        RAESettings(**settings)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"num_heads": (3, 2)}, "num_heads 3"),
        ({"num_heads": (4, 2)}, "head width"),
        ({"guide": NETWORK}, "no guide of its own"),
    ],
)
def test_networks_that_cannot_be_are_refused(changes, key):
    with pytest.raises(ValidationError, match=key):
        DiTDHNetwork(**{**NETWORK, **changes})


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(DiTDH).parameters
    assert list(DiTDHNetwork.model_fields) == list(taken)
    for name, field in DiTDHNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name
