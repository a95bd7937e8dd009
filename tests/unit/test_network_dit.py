"""The DiT network's parts, by hand. tests/golden compares the whole with the authors' code."""

import inspect
import math

import pytest
import torch
from torch import nn

from genbench.methods.dit.network import DiT
from genbench.methods.dit.settings import DiTNetwork
from genbench.methods.initialisation import initialise
from genbench.methods.transformer.blocks import Attention, modulate
from genbench.methods.transformer.embeddings import TimestepEmbedder, position_embedding

SMALL = {
    "input_size": 8,
    "patch_size": 2,
    "in_channels": 3,
    "hidden_size": 24,
    "depth": 2,
    "num_heads": 2,
    "num_classes": 5,
    "learn_sigma": False,
}


def random_network(**changes):
    network = DiT(**{**SMALL, **changes}).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        if name != "pos_embed":
            parameter.normal_(std=0.3, generator=generator)
    return network


def inputs(n=3, size=8):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, size, size, generator=generator), torch.linspace(0, 1, n), torch.arange(n)


def test_position_embedding_by_its_formula():
    width, side = 16, 3
    found = position_embedding(width, side)
    assert (found.shape, found.dtype) == ((1, 9, 16), torch.float32)
    for row in range(side):
        for column in range(side):
            angles = {axis: [at * 10000 ** (-k / 4) for k in range(4)] for axis, at in (("c", column), ("r", row))}
            expected = [f(a) for axis in "cr" for f in (math.sin, math.cos) for a in angles[axis]]
            assert found[0, row * side + column].tolist() == pytest.approx(expected, abs=1e-7)


def test_time_features_by_their_formula():
    embedder = TimestepEmbedder(256)
    embedder.mlp = nn.Sequential(nn.Identity(), nn.Linear(256, 256, bias=False))
    nn.init.eye_(embedder.mlp[1].weight)
    found = embedder(torch.tensor([0.37]))[0]
    angles = [0.37 * math.exp(-math.log(10000) * i / 128) for i in range(128)]
    expected = [f(a) for f in (math.cos, math.sin) for a in angles]
    assert torch.allclose(found, torch.tensor(expected), atol=1e-6)


def test_attention_by_its_definition():
    torch.manual_seed(0)
    attention, x = Attention(12, 3), torch.randn(2, 5, 12)
    q, k, v = (part.view(2, 5, 3, 4) for part in attention.qkv(x).split(12, dim=2))
    weights = torch.einsum("nihd,njhd->nhij", q, k).div(2.0).softmax(-1)  # head width 4: divided by its root
    expected = attention.proj(torch.einsum("nhij,njhd->nihd", weights, v).reshape(2, 5, 12))
    assert torch.allclose(attention(x), expected, atol=1e-6)


def test_modulate_by_hand():
    x = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    found = modulate(
        x, shift=torch.tensor([[[10.0, 0.0]], [[0.0, 1.0]]]), scale=torch.tensor([[[1.0, 0.0]], [[0.0, -1.0]]])
    )
    assert found.tolist() == [[[12.0, 2.0]], [[3.0, 1.0]]]


@pytest.mark.parametrize("patch", [2, 4])
def test_unpatchify_puts_each_tokens_row_column_channel_back(patch):
    network = DiT(**{**SMALL, "patch_size": patch})
    image = torch.arange(2 * 3 * 8 * 8.0).view(2, 3, 8, 8)
    tokens = torch.stack(
        [
            image[:, :, i : i + patch, j : j + patch].permute(0, 2, 3, 1).flatten(1)
            for i in range(0, 8, patch)
            for j in range(0, 8, patch)
        ],
        dim=1,
    )
    assert torch.equal(network.unpatchify(tokens), image)


def test_every_input_moves_its_own_image_only():
    network = random_network()
    x, t, y = inputs()
    before = network(x, t, y)
    for changed in ((x + torch.tensor([0.0, 1.0, 0.0]).view(3, 1, 1, 1), t, y), (x, t + torch.tensor([0, 0.1, 0]), y)):
        after = network(*changed)
        assert torch.equal(before[[0, 2]], after[[0, 2]])
        assert not torch.allclose(before[1], after[1], atol=1e-3)
    null = network(x, t, torch.tensor([0, 5, 2]))
    assert torch.equal(before[[0, 2]], null[[0, 2]])
    assert not torch.allclose(before[1], null[1], atol=1e-3)


def test_an_initialised_network_predicts_zero_and_can_learn():
    network = DiT(**SMALL)
    torch.manual_seed(0)
    initialise(network)
    x, t, y = inputs()
    out = network(x, t, y)
    assert not out.any()
    (out - x).square().mean().backward()
    assert network.final_layer.linear.weight.grad.abs().max() > 0
    assert network.pos_embed.grad is None
    assert torch.equal(network.pos_embed, position_embedding(24, 4))
    assert float(network.y_embedder.embedding_table.weight.detach().std()) == pytest.approx(0.02, rel=0.2)


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(DiT).parameters
    assert list(DiTNetwork.model_fields) == list(taken)
    for name, field in DiTNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name
