"""ReDi: latents and principal components from one equation, guided on the latents alone.

tests/golden compares whole runs with the authors' code.
"""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from genbench.cards import load_card
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.redi.network import JointSiT
from genbench.methods.redi.sampler import ReDiSampler
from genbench.methods.redi.settings import ReDiNetwork
from genbench.methods.sit.settings import SiTSettings
from genbench.validate import random_state

REGISTRY = Path(__file__).parents[2] / "registry"
NETWORK = {
    "input_size": 4,
    "patch_size": 2,
    "in_channels": 5,
    "hidden_size": 16,
    "depth": 2,
    "num_heads": 2,
    "num_classes": 3,
    "learn_sigma": False,
    "pca_rank": 2,
}
LABELS = torch.arange(8) % 3


def state():
    return random_state(JointSiT(**NETWORK))


def sampler(weights=None, **settings):
    given = SiTSettings(**{"cfg_channels": 3, **settings})
    return ReDiSampler(network=NETWORK, settings=given, state=weights or state(), device=torch.device("cpu"))


def test_two_steps_of_the_ode_guide_the_latent_and_leave_the_components():
    """x' = x + h·(v_null + cfg·(v - v_null)) on the latent, x + h·v on the components, which enter the second step."""
    x, y, null = torch.randn(2, 5, 4, 4), LABELS[:2], torch.full((2,), 3)
    made = sampler(mode="ode", steps=3, cfg=2.4)
    expected = x
    for time in (0.0, 0.5):
        t = torch.full((2,), time)
        own, other = made.network(expected, t, y), made.network(expected, t, null)
        velocity = torch.cat([(other + 2.4 * (own - other))[:, :3], own[:, 3:]], 1)
        expected = expected + 0.5 * velocity
    found = made.sample(RecordedNoise([x]), y)
    assert found.shape == (2, 3, 4, 4)
    assert torch.allclose(found, expected[:, :3], atol=1e-5)


def test_image_i_is_the_same_at_batch_1_and_8():
    made = sampler(mode="sde", steps=6, cfg=2.4)
    whole = made.sample(SeededNoise(range(8)), LABELS)
    assert made.nfe == 6
    for i in range(8):
        assert torch.allclose(made.sample(SeededNoise([i]), LABELS[i : i + 1]), whole[i : i + 1], atol=1e-4)


def test_the_head_that_only_training_uses_is_left_out():
    x = torch.randn(1, 5, 4, 4)
    plain, headed = sampler(mode="ode", steps=2), sampler(state() | {"projector.0.weight": x}, mode="ode", steps=2)
    assert torch.equal(headed.sample(RecordedNoise([x]), LABELS[:1]), plain.sample(RecordedNoise([x]), LABELS[:1]))


def test_components_that_leave_no_latent_are_refused():
    with pytest.raises(ValidationError, match="leaves no latent"):
        ReDiNetwork(**{**NETWORK, "pca_rank": 5})


def test_the_cards_network_is_repas_with_eight_more_channels():
    """REPA's official keys, whose network is SiT's without the variance half: 4 channels become 12 at both ends."""
    official = json.loads((REGISTRY / "manifests" / "repa-SiT-XL-2-256.json").read_text())
    shapes = {key: shape for key, shape in official["keys"].items() if not key.startswith("projectors.")}
    shapes["x_embedder.proj.weight"] = [1152, 12, 2, 2]
    shapes["final_layer.linear.weight"], shapes["final_layer.linear.bias"] = [48, 1152], [48]
    with torch.device("meta"):
        built = JointSiT(**load_card(REGISTRY / "redi.toml").variants["redi-sitxl2-256"].network)
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == shapes
