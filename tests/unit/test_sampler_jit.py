"""JiT's sampler: the way to the predicted image, guidance within its interval, the Euler step at the end.

tests/golden compares whole runs with the authors' code.
"""

import inspect

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import UsageError
from genbench.methods.jit.network import JiT
from genbench.methods.jit.sampler import JiTSampler
from genbench.methods.jit.settings import JiTNetwork, JiTSettings
from genbench.methods.noise import RecordedNoise, SeededNoise

NETWORK = {
    "input_size": 8,
    "patch_size": 4,
    "in_channels": 3,
    "hidden_size": 16,
    "depth": 3,
    "num_heads": 2,
    "num_classes": 3,
    "bottleneck_dim": 6,
    "in_context_len": 2,
    "in_context_start": 1,
}
LABELS = torch.arange(8) % 3


def weights(**changes):
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    network = JiT(**{**NETWORK, **changes})
    for parameter in network.parameters():
        if parameter.requires_grad:
            std = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.data.normal_(std=std, generator=generator)
    return network.state_dict()


def sampler(state=None, network=None, **settings):
    network = {**NETWORK, **(network or {})}
    return JiTSampler(
        network=network,
        settings=JiTSettings(**settings),
        state=state or weights(**network),
        device=torch.device("cpu"),
    )


def constant(image):
    """Weights of a network that predicts one grey, whatever it is given."""
    state = {k: torch.zeros_like(v) for k, v in weights().items()}
    return {**state, "final_layer.linear.bias": torch.full_like(state["final_layer.linear.bias"], image)}


def noise(n):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("settings", [{"cfg": 2.9}, {"integrator": "euler", "noise_scale": 2.0}], ids=str)
def test_image_i_is_the_same_at_batch_1_and_8(settings):
    made = sampler(steps=6, **settings)
    whole = made.sample(SeededNoise(range(8)), LABELS)
    assert (whole.shape, whole.dtype) == ((8, 3, 8, 8), torch.float32)
    for i in range(8):
        assert torch.allclose(made.sample(SeededNoise([i]), LABELS[i : i + 1]), whole[i : i + 1], atol=1e-4)


@pytest.mark.parametrize(("integrator", "steps", "nfe"), [("heun", 50, 99), ("euler", 50, 50), ("heun", 1, 1)])
def test_the_last_step_is_one_evaluation(integrator, steps, nfe):
    """JiT, section 4: 50 steps of Heun are 99 evaluations."""
    made = sampler(steps=steps, integrator=integrator, cfg=2.0)
    calls = []
    made.network.register_forward_hook(lambda *_: calls.append(1))
    made.sample(RecordedNoise([noise(1)]), LABELS[:1])
    assert made.nfe == nfe == len(calls)


def test_a_network_sure_of_its_image_is_followed_to_it():
    """Steps of 1/10 with 1 - t above t_eps end at the prediction; with t_eps 0.2 the last step goes half the way."""
    grey = constant(0.25)
    start = noise(2)
    found = sampler(grey, steps=10, integrator="euler").sample(RecordedNoise([start]), LABELS[:2])
    assert torch.allclose(found, torch.full_like(found, 0.25), atol=1e-5)
    half = sampler(grey, steps=10, integrator="euler", t_eps=0.2).sample(RecordedNoise([start]), LABELS[:2])
    # Of the way from the start to the image, 1/10 is left before the last step, of which 0.1/0.2 is made.
    assert torch.allclose(half, 0.25 + (start - 0.25) / 20, atol=1e-5)
    larger = sampler(grey, steps=10, integrator="euler", t_eps=0.2, noise_scale=2.0)
    assert torch.allclose(larger.sample(RecordedNoise([start]), LABELS[:2]), 0.25 + (2 * start - 0.25) / 20, atol=1e-5)


def test_guidance_lies_strictly_within_its_interval_but_for_a_start_of_zero():
    """Two Euler steps, from 0 and from 1/2."""
    made = {"steps": 2, "integrator": "euler", "cfg": 3.0}
    x = noise(2)

    def image(**settings):
        return sampler(**{**made, **settings}).sample(RecordedNoise([x]), LABELS[:2])

    plain = image(cfg=1.0)
    assert torch.equal(image(cfg_start=0.5), plain)
    assert torch.equal(image(cfg_start=0.1, cfg_end=0.5), plain)
    second, first = image(cfg_start=0.4), image(cfg_start=0.0, cfg_end=0.5)
    assert not torch.allclose(second, plain, atol=1e-2)
    assert not torch.allclose(first, plain, atol=1e-2)
    assert not torch.allclose(first, second, atol=1e-2)


def test_a_network_may_have_no_tokens_of_the_class():
    x = noise(2)
    found = sampler(network={"in_context_len": 0}, steps=2).sample(RecordedNoise([x]), LABELS[:2])
    assert found.shape == x.shape


def test_tokens_of_the_class_do_not_turn():
    cos, sin = JiT(**NETWORK).rotation(torch.device("cpu"))
    assert cos.shape == sin.shape == (2 + 4, 8)
    assert cos[:2].eq(1).all()
    assert sin[:2].eq(0).all()
    # Token (row 1, column 0): the row's half turns by 1 and 10000^(-1/2), the column's not at all.
    expected = torch.tensor([1.0, 1.0, 0.01, 0.01, 0, 0, 0, 0])
    assert torch.allclose(sin[2 + 2], expected.sin(), atol=1e-6)


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(UsageError, match="classes 0 to 2"):
        sampler(steps=2).sample(RecordedNoise([noise(1)]), torch.tensor([3]))


@pytest.mark.parametrize(
    ("settings", "key"), [({"steps": 0}, "steps"), ({"t_eps": 0}, "t_eps"), ({"integrator": "dopri5"}, "integrator")]
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        JiTSettings(**settings)


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"in_context_start": 3}, "after the last"), ({"patch_size": 3}, "patch_size 3"), ({"num_heads": 3}, "heads")],
)
def test_networks_that_cannot_be_are_refused(changes, key):
    with pytest.raises(ValidationError, match=key):
        JiTNetwork(**{**NETWORK, **changes})


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(JiT).parameters
    assert set(JiTNetwork.model_fields) == set(taken)
    for name, field in JiTNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name
