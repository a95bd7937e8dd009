"""FlowTurbo's steps. tests/golden compares whole runs with the authors' code."""

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import UsageError
from genbench.methods.flowturbo.network import FlowTurbo, VelocityRefiner
from genbench.methods.flowturbo.sampler import FlowTurboSampler
from genbench.methods.flowturbo.settings import FlowTurboNetwork, FlowTurboSettings
from genbench.methods.noise import SeededNoise
from genbench.validate import random_state

NETWORK = {"input_size": 4, "patch_size": 2, "in_channels": 4, "hidden_size": 16, "depth": 2, "num_heads": 2}
NETWORK |= {"num_classes": 3}


def sampler(*, refiner=True, **settings):
    network = NETWORK | ({"refiner": NETWORK | {"depth": 1}} if refiner else {})
    with torch.device("meta"):
        module = FlowTurbo(**network)
    return FlowTurboSampler(
        network=network,
        settings=FlowTurboSettings(**settings),
        state=random_state(module),
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize(("heun", "pseudo", "refined", "nfe"), [(1, 2, 2, 4), (0, 3, 1, 4), (2, 0, 1, 4), (3, 0, 0, 6)])
@pytest.mark.parametrize("cfg", [1.0, 1.5])
def test_both_networks_are_evaluated_as_often_as_said(heun, pseudo, refined, nfe, cfg):
    made = sampler(heun=heun, pseudo=pseudo, refined=refined, cfg=cfg)
    calls = {"whole": 0, "refiner": 0}

    def count(name):
        def hook(*_):
            calls[name] += 1

        return hook

    made.network.register_forward_hook(count("whole"))
    made.network.refiner.register_forward_hook(count("refiner"))
    assert made.sample(SeededNoise([0, 1]), torch.tensor([0, 2])).shape == (2, 4, 4, 4)
    assert made.nfe == calls["whole"] == nfe
    assert calls["refiner"] == 2 * refined


@pytest.mark.parametrize("cfg", [1.0, 1.5])
def test_of_a_constant_velocity_and_no_correction_every_kind_of_step_adds_its_share(cfg):
    made = sampler(heun=1, pseudo=2, refined=2, cfg=cfg)
    made.velocity = lambda x, t, y: torch.full_like(x, 3.0)
    made.offset = lambda x, velocity, t, y: torch.zeros_like(x)
    noise = SeededNoise([4]).normal((4, 4, 4))
    assert torch.allclose(made.sample(SeededNoise([4]), torch.tensor([0])), noise + 3, atol=1e-5)


def test_a_refined_step_goes_on_from_the_first_slope_of_the_one_before():
    """With corrections of 1: slopes 3 and 3, then 4 and 5, then 5 and 6."""
    made = sampler(heun=1, pseudo=0, refined=2, cfg=1.0)
    made.velocity = lambda x, t, y: torch.full_like(x, 3.0)
    made.offset = lambda x, velocity, t, y: torch.ones_like(x)
    noise = SeededNoise([4]).normal((4, 4, 4))
    found = made.sample(SeededNoise([4]), torch.tensor([0]))
    assert torch.allclose(found, noise + (3 + 4.5 + 5.5) / 3, atol=1e-5)


def test_image_i_is_the_same_at_batch_1_and_3():
    made = sampler(heun=1, pseudo=1, refined=1)
    whole = made.sample(SeededNoise(range(3)), torch.arange(3))
    for i in range(3):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([i]))[0], whole[i], atol=1e-5)


def test_no_image_is_sampled_from_no_generator():
    made = sampler(heun=1, pseudo=1, refined=1)
    assert made.sample(SeededNoise([]), torch.empty(0, dtype=torch.int64)).shape == (0, 4, 4, 4)


def test_refined_steps_need_a_refiner():
    with pytest.raises(UsageError, match="refined steps need a second network"):
        sampler(refiner=False, heun=1, pseudo=1, refined=1)
    assert sampler(refiner=False, heun=1, pseudo=1, refined=0).network.refiner is None


def test_the_refiner_sees_the_state_and_the_velocity():
    with torch.device("meta"):
        assert VelocityRefiner(**NETWORK | {"depth": 1}).x_embedder.proj.weight.shape == (16, 8, 2, 2)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValidationError, match="refined steps need a velocity"):
        FlowTurboSettings(heun=0, pseudo=0, refined=3)
    with pytest.raises(ValidationError, match="another in_channels and num_classes"):
        FlowTurboNetwork(**NETWORK, refiner=NETWORK | {"in_channels": 3, "num_classes": 5})
