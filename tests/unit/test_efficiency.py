"""What one image costs, by hand for a small transformer, and what quantised weights change."""

import pytest
import torch
from pydantic import ValidationError

from genbench.methods.dit.network import DiT
from genbench.methods.efficiency import count
from genbench.methods.networks import parameters
from genbench.methods.noise import SeededNoise
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings
from genbench.methods.weight_formats import BITS

D, DEPTH, HEADS, SIDE, CLASSES = 32, 2, 2, 8, 5
NETWORK = {
    "input_size": SIDE,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": D,
    "depth": DEPTH,
    "num_heads": HEADS,
    "num_classes": CLASSES,
    "mlp_ratio": 4.0,
    "learn_sigma": False,
    "qk_norm": False,
}


def sampler(**settings):
    torch.manual_seed(0)
    network = DiT(**NETWORK)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    given = SiTSettings(**{"mode": "ode", "steps": 5, "cfg_channels": None, **settings})
    return SiTSampler(network=NETWORK, settings=given, state=network.state_dict(), device=torch.device("cpu"))


def counted(**settings):
    return count(sampler(**settings), SeededNoise([3]), torch.tensor([1]))


def multiply_adds_with_weights():
    """Of one forward of one image: embeddings of patches, time (256 frequencies) and the blocks' and last layers."""
    tokens = (SIDE // 2) ** 2
    block = tokens * (D * 3 * D + D * D + 2 * D * 4 * D) + D * 6 * D
    return tokens * 16 * D + (256 * D + D * D) + DEPTH * block + D * 2 * D + tokens * D * 16


def attention():
    """Of one forward: queries with keys, and weights with values."""
    tokens = (SIDE // 2) ** 2
    return DEPTH * 2 * tokens * tokens * D


def test_flops_are_two_a_multiply_add_of_every_evaluation():
    found = counted()
    assert found.flops == 4 * 2 * (multiply_adds_with_weights() + attention())
    assert found.bops == 4 * multiply_adds_with_weights() * 32 * 32


def test_guidance_doubles_the_evaluations():
    assert counted(cfg=2.0).flops == 2 * counted().flops


def test_a_compiled_network_counts_the_same():
    assert counted(compile=True) == counted()


@pytest.mark.parametrize("weights", ["bfloat16", "float8", "int8", "int4"])
def test_quantised_weights_take_fewer_bits_and_give_nearly_the_same_images(weights):
    plain, quantised = sampler(), sampler(weights=weights)
    linears = sum(m.in_features * m.out_features for m in plain.network.modules() if isinstance(m, torch.nn.Linear))
    images = [s.sample(SeededNoise([3, 4]), torch.tensor([1, 2])) for s in (plain, quantised)]
    difference = (images[0] - images[1]).abs().max().item()
    assert 0 < difference < {"bfloat16": 0.05, "float8": 0.5, "int8": 0.1, "int4": 2.0}[weights]
    costs = [count(s, SeededNoise([3]), torch.tensor([1])) for s in (plain, quantised)]
    assert costs[0].weight_bytes == 4 * parameters(plain.network)
    packed = costs[0].weight_bytes - linears * (32 - BITS[weights]) // 8
    scales = costs[1].weight_bytes - packed
    rows = sum(m.out_features for m in plain.network.modules() if isinstance(m, torch.nn.Linear))
    assert scales == {"bfloat16": 0, "float8": 4 * rows, "int8": 4 * rows, "int4": 4 * linears // 32}[weights]
    assert costs[1].flops == costs[0].flops
    assert costs[1].bops < costs[0].bops
    assert quantised.parameters == plain.parameters


def test_an_image_of_quantised_weights_does_not_depend_on_its_batch():
    quantised = sampler(weights="int8")
    together = quantised.sample(SeededNoise([3, 4, 5]), torch.tensor([1, 2, 0]))
    alone = quantised.sample(SeededNoise([4]), torch.tensor([2]))
    assert torch.allclose(together[1], alone[0], atol=1e-5)


def test_half_arithmetic_with_quantised_weights_is_refused():
    with pytest.raises(ValidationError, match="computed with in float32"):
        SiTSettings(mode="ode", steps=2, weights="int8", dtype="bfloat16")
