"""The ADM U-Net's parts and layouts. tests/golden compares the whole with OpenAI's code and with diffusers."""

import inspect
import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from genbench.errors import ConfigError
from genbench.methods.adm.layouts import openai_keys
from genbench.methods.adm.network import ADMUNet, Attention, Condition, GroupNorm, ResBlock
from genbench.methods.adm.settings import ADMNetwork
from genbench.methods.adm.vectors import created, unet2d
from genbench.methods.transformer.embeddings import sinusoids

MANIFESTS = Path(__file__).parents[2] / "registry" / "manifests"
SMALL = {
    "image_size": 8,
    "num_channels": 32,
    "num_res_blocks": 1,
    "channel_mult": (1, 2),
    "attention_resolutions": (4,),
    "num_head_channels": 16,
    "num_classes": 5,
}


def manifest(name):
    return json.loads((MANIFESTS / f"{name}.json").read_text())


def on_meta(network):
    with torch.device("meta"):
        return ADMUNet(**network)


def filled(module):
    generator = torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(std=0.3, generator=generator)
    return module.eval().requires_grad_(False)


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("size", "count"), [("imagenet64", 295_899_267), ("lsun256", 526_304_771)]
)  # measured from the authors' classes
def test_full_size_networks_have_openais_keys_and_shapes_from_both_layouts(size, count):
    official, hosted = manifest(f"consistency-{size}"), manifest(f"consistency_diffusers-{size}")
    config = official["config"]
    network = created(config["create_model_args"], config["num_classes"], size)
    assert network["channel_mult"] == tuple(config["channel_mult"])
    built = on_meta(network)
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in built.parameters()) == official["n_params"] == count
    state = {key: torch.empty(shape, device="meta") for key, shape in hosted["keys"].items()}
    assert {key: list(value.shape) for key, value in openai_keys(state, network).items()} == official["keys"]
    assert unet2d(hosted["config"], size) == network


@pytest.mark.parametrize(("size", "giga"), [("imagenet64", 109.66), ("lsun256", 1119.35)])
def test_one_evaluation_costs_what_the_authors_network_does(size, giga):
    """Multiply-adds of one image, counted on the authors' classes."""
    config = manifest(f"consistency-{size}")["config"]
    network = created(config["create_model_args"], config["num_classes"], size)
    side = network["image_size"]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        ADMUNet(**network)(torch.empty(1, 3, side, side), torch.empty(1), torch.empty(1, dtype=torch.int64))
    assert counter.get_total_flops() / 2e9 == pytest.approx(giga, abs=0.01)


def test_queries_keys_and_values_become_one_convolution_in_that_order():
    network = ADMNetwork(**SMALL).model_dump()
    place = "mid_block.attentions.0"
    parts = {
        f"{place}.{name}.weight": torch.full((64, 64), float(i)) for i, name in enumerate(("to_q", "to_k", "to_v"))
    }
    found = openai_keys({"conv_in.weight": torch.zeros(1), **parts, "unknown.thing": torch.ones(1)}, network)
    qkv = found["middle_block.1.qkv.weight"]
    assert qkv.shape == (192, 64, 1, 1)
    assert [float(part[0, 0, 0, 0]) for part in qkv.chunk(3)] == [0, 1, 2]
    assert set(found) == {"input_blocks.0.0.weight", "middle_block.1.qkv.weight", "unknown.thing"}


def test_a_file_with_openais_keys_is_taken_as_it_is():
    state = {"input_blocks.0.0.weight": torch.zeros(1)}
    assert openai_keys(state, SMALL) == state


def test_attention_is_softmax_of_queries_and_keys_within_each_head():
    block = filled(Attention(32, heads=2))
    x = draw(2, 32, 3, 3)
    q, k, v = block.qkv(block.norm(x)).flatten(2).chunk(3, dim=1)
    out = []
    for head in range(2):
        channels = slice(16 * head, 16 * head + 16)
        weights = (q[:, channels].transpose(1, 2) @ k[:, channels] / 4).softmax(-1)
        out.append(v[:, channels] @ weights.transpose(1, 2))
    expected = x + block.proj_out(torch.cat(out, dim=1).view_as(x))
    assert torch.allclose(block(x), expected, atol=1e-5)


def test_a_block_that_is_scaled_or_added_to():
    x, condition = draw(2, 32, 4, 4), Condition(draw(2, 8))
    for scaled in (True, False):
        block = filled(ResBlock(32, 64, 8, scaled=scaled, targeted=False))
        h = block.in_layers(x)
        told = block.emb_layers(condition.time)[:, :, None, None]
        if scaled:
            h = functional.silu(block.out_layers[0](h) * (1 + told[:, :64]) + told[:, 64:])
        else:
            h = functional.silu(block.out_layers[0](h + told))
        assert torch.allclose(block(x, condition), block.skip_connection(x) + block.out_layers[3](h), atol=1e-5)


def test_sizes_change_on_both_ways_of_a_block():
    network = filled(ADMUNet(**SMALL))
    smaller, larger = network.input_blocks[2][0], network.output_blocks[1][2]
    x, condition = draw(2, 32, 8, 8), Condition(draw(2, 128))
    h = smaller.in_layers[2](functional.avg_pool2d(functional.silu(smaller.in_layers[0](x)), 2))
    scale, shift = smaller.emb_layers(condition.time)[:, :, None, None].chunk(2, dim=1)
    h = smaller.out_layers[3](functional.silu(smaller.out_layers[0](h) * (1 + scale) + shift))
    assert torch.allclose(smaller(x, condition), functional.avg_pool2d(x, 2) + h, atol=1e-5)
    wide = draw(2, 64, 4, 4)
    assert larger(wide, condition).shape == (2, 64, 8, 8)
    assert torch.equal(larger.resample(wide), wide.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_group_normalisation_keeps_the_dtype_and_works_in_float32():
    norm = filled(GroupNorm(32))
    x = draw(2, 32, 4, 4) * 300
    assert torch.equal(norm(x.half()), norm(x.half().float()).half())


def test_sinusoids_are_cosines_then_sines_of_falling_frequencies():
    found = sinusoids(torch.tensor([2.0]), 4)
    expected = torch.tensor([[2.0, 0.02, 2.0, 0.02]])
    assert torch.allclose(found[:, :2], expected[:, :2].cos())
    assert torch.allclose(found[:, 2:], expected[:, 2:].sin())


def test_convolutions_may_change_the_resolution():
    network = ADMUNet(**SMALL, resblock_updown=False)
    keys = {key for key in network.state_dict() if ".op." in key or ".conv." in key}
    assert keys == {
        f"{place}.{kind}" for place in ("input_blocks.2.0.op", "output_blocks.1.2.conv") for kind in ("weight", "bias")
    }
    assert filled(network)(draw(1, 3, 8, 8), torch.ones(1), torch.zeros(1, dtype=torch.int64)).shape == (1, 3, 8, 8)


def test_heads_may_be_counted():
    network = on_meta({**SMALL, "num_head_channels": None, "num_heads": 8})
    assert [m.heads for m in network.modules() if isinstance(m, Attention)] == [8] * 4


def test_a_card_may_say_what_the_constructor_takes():
    taken = dict(inspect.signature(ADMUNet).parameters)
    del taken["targeted"]  # a family's own, not a card's
    assert list(ADMNetwork.model_fields) == list(taken)
    for name, field in ADMNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_channels": 48}, "multiple of 32"),
        ({"image_size": 9}, "cannot be halved 1 times"),
        ({"num_head_channels": 48}, "32 channels cannot be cut into the heads"),
        ({"channel_mult": ()}, "at least 1"),
    ],
)
def test_networks_that_cannot_be_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        ADMNetwork(**{**SMALL, **changes})


def test_recorded_configurations_that_are_not_adms_are_refused():
    given = manifest("consistency-imagenet64")["config"]["create_model_args"]
    with pytest.raises(ConfigError, match="learn_sigma"):
        created({**given, "learn_sigma": True}, 1000, "x")
    hosted = manifest("consistency_diffusers-imagenet64")["config"]
    with pytest.raises(ConfigError, match="sizes change by convolutions"):
        unet2d({**hosted, "upsample_type": "conv"}, "x")
