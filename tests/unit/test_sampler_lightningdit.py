"""LightningDiT's sampler: guidance from its start on, the shifted grid, and images that depend on nothing else.

tests/golden compares whole runs with the authors' code.
"""

import inspect

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import UsageError
from genbench.methods.lightningdit.network import LightningDiT
from genbench.methods.lightningdit.sampler import LightningDiTSampler
from genbench.methods.lightningdit.settings import LightningDiTNetwork, LightningDiTSettings
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.timeshift import shifted

NETWORK = {
    "input_size": 4,
    "patch_size": 1,
    "in_channels": 5,
    "hidden_size": 24,
    "depth": 2,
    "num_heads": 3,
    "num_classes": 3,
    "use_swiglu": True,
    "use_rope": True,
    "use_rmsnorm": True,
}


def weights(**changes):
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    network = LightningDiT(**{**NETWORK, **changes})
    for parameter in network.parameters():
        if parameter.requires_grad:
            std = 0.1 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.data.normal_(std=std, generator=generator)
    return network.state_dict()


def sampler(network=None, **settings):
    network = {**NETWORK, **(network or {})}
    return LightningDiTSampler(
        network=network,
        settings=LightningDiTSettings(**settings),
        state=weights(**network),
        device=torch.device("cpu"),
    )


def noise(n):
    return torch.randn(n, 5, 4, 4, generator=torch.Generator().manual_seed(1))


OFFICIAL = {"steps": 6, "cfg": 6.7, "cfg_start": 0.125}


def test_image_i_is_the_same_at_batch_1_and_8():
    made = sampler(**OFFICIAL)
    labels = torch.arange(8) % 3
    whole = made.sample(SeededNoise(range(8)), labels)
    assert (whole.shape, whole.dtype) == ((8, 5, 4, 4), torch.float32)
    for i in range(8):
        assert torch.allclose(made.sample(SeededNoise([i]), labels[i : i + 1]), whole[i : i + 1], atol=1e-4)


def test_guidance_begins_at_its_start_itself_included():
    """A grid of two points makes one step, from t = 0: guided by a start of 0, not by a later one."""
    x, y = noise(2), torch.tensor([0, 2])
    plain = sampler(steps=2).sample(RecordedNoise([x]), y)
    late = sampler(steps=2, cfg=3.0, cfg_start=1e-3).sample(RecordedNoise([x]), y)
    guided = sampler(steps=2, cfg=3.0).sample(RecordedNoise([x]), y)
    assert torch.equal(late, plain)
    assert not torch.allclose(guided[:, :3], plain[:, :3], atol=1e-2)
    assert torch.allclose(guided[:, 3:], plain[:, 3:], atol=1e-5)
    everywhere = sampler(steps=2, cfg=3.0, cfg_channels=None).sample(RecordedNoise([x]), y)
    assert torch.allclose(everywhere[:, :3], guided[:, :3], atol=1e-5)
    assert not torch.allclose(everywhere[:, 3:], plain[:, 3:], atol=1e-2)


def test_shifted_times_by_hand():
    """s·t / (1 + (s - 1)·t): of 1/2 by 0.3 it is 0.15/0.65; the ends stay."""
    found = shifted(torch.tensor([0.0, 0.5, 1.0]), 0.3)
    assert found.tolist() == pytest.approx([0, 0.15 / 0.65, 1])


@pytest.mark.parametrize(("integrator", "nfe"), [("euler", 5), ("heun", 10), ("midpoint", 10)])
def test_evaluations_are_counted(integrator, nfe):
    made = sampler(steps=6, integrator=integrator, cfg=2.0)
    calls = []
    made.network.register_forward_hook(lambda *_: calls.append(1))
    made.sample(RecordedNoise([noise(1)]), torch.tensor([0]))
    assert made.nfe == nfe == len(calls)


@pytest.mark.parametrize(
    "changes",
    [
        {"use_rope": False},
        {"use_swiglu": False},
        {"use_rmsnorm": False},
        {"use_qknorm": True},
        {"use_qknorm": True, "use_rmsnorm": False},
        {"wo_shift": True},
        {"learn_sigma": True},
        {"patch_size": 2},
    ],
    ids=str,
)
def test_every_option_of_the_network_gives_velocities_of_the_latents(changes):
    x, y = noise(2), torch.tensor([0, 2])
    found = sampler(changes, steps=3).sample(RecordedNoise([x]), y)
    assert found.shape == x.shape
    assert not torch.allclose(found, x, atol=1e-2)


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(UsageError, match="classes 0 to 2"):
        sampler(steps=2).sample(RecordedNoise([noise(1)]), torch.tensor([3]))


@pytest.mark.parametrize(
    ("settings", "key"), [({"steps": 1}, "steps"), ({"shift": 0}, "shift"), ({"cfg_start": 1.5}, "cfg_start")]
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        LightningDiTSettings(**settings)


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(LightningDiT).parameters
    assert list(LightningDiTNetwork.model_fields) == list(taken)
    for name, field in LightningDiTNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name


def test_a_head_that_has_no_quarters_cannot_turn():
    with pytest.raises(ValidationError, match="head width that 4 divides"):
        LightningDiTNetwork(**{**NETWORK, "num_heads": 4})
