"""MaskDiT: the narrow decoder, the class as a matrix, and Heun's method with guidance.

The network and the sampler are computed again from the formulas; tests/golden compares them with the authors' code.
"""

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from genbench.cards import load_card
from genbench.errors import UsageError
from genbench.methods.maskdit.network import MaskDiTDenoiser
from genbench.methods.maskdit.sampler import MaskDiTSampler
from genbench.methods.maskdit.settings import MaskDiTNetwork, MaskDiTSettings
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.validate import random_state

REGISTRY = Path(__file__).parents[2] / "registry"
NETWORK = {
    "input_size": 4,
    "patch_size": 2,
    "in_channels": 3,
    "hidden_size": 16,
    "depth": 2,
    "num_heads": 2,
    "num_classes": 3,
    "decoder_hidden_size": 8,
    "decoder_depth": 1,
    "decoder_num_heads": 4,
}
LABELS = torch.arange(8) % 3
STATE = random_state(MaskDiTDenoiser(**NETWORK))


def sampler(state=None, **settings):
    return MaskDiTSampler(
        network=NETWORK, settings=MaskDiTSettings(**settings), state=state or STATE, device=torch.device("cpu")
    )


def plain(x, sigma, class_vector):
    """The denoiser by its formulas, of classes as vectors (N, 3)."""
    w = {key.removeprefix("model."): value for key, value in STATE.items()}

    def linear(name, value):
        return functional.linear(value, w[f"{name}.weight"], w[f"{name}.bias"])

    def normed(h):
        return (h - h.mean(-1, keepdim=True)) / (h.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()

    def adapted(name, h, parts):
        return [normed(h), *linear(f"{name}.adaLN_modulation.1", c)[:, None].chunk(parts, -1)]

    def block(name, h, heads):
        hat, shift, scale, gate, shift2, scale2, gate2 = adapted(name, h, 6)
        q, k, v = (
            part.unflatten(-1, (heads, -1)).transpose(1, 2)
            for part in linear(f"{name}.attn.qkv", hat * (1 + scale) + shift).chunk(3, -1)
        )
        attended = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v
        h = h + gate * linear(f"{name}.attn.proj", attended.transpose(1, 2).flatten(2))
        wide = linear(f"{name}.mlp.fc1", normed(h) * (1 + scale2) + shift2)
        return h + gate2 * linear(f"{name}.mlp.fc2", functional.gelu(wide, approximate="tanh"))

    total = sigma**2 + 0.25
    angle = (sigma.log() / 4)[:, None] * 10000.0 ** -(torch.arange(128) / 128)
    c = linear("t_embedder.mlp.0", torch.cat([angle.cos(), angle.sin()], 1))
    c = linear("t_embedder.mlp.2", functional.silu(c)) + class_vector @ w["y_embedder.embedding_table.weight"].T
    c = functional.silu(c)
    h = functional.conv2d(
        x / total.sqrt().view(-1, 1, 1, 1), w["x_embedder.proj.weight"], w["x_embedder.proj.bias"], stride=2
    )
    h = h.flatten(2).transpose(1, 2) + w["pos_embed"]
    for i in range(2):
        h = block(f"blocks.{i}", h, 2)
    hat, shift, scale = adapted("decoder_layer", h, 2)
    h = linear("decoder_layer.linear", hat * (1 + scale) + shift) + w["decoder_pos_embed"]
    h = block("decoder_blocks.0", h, 4)
    hat, shift, scale = adapted("final_layer", h, 2)
    patches = linear("final_layer.linear", hat * (1 + scale) + shift)
    image = patches.view(-1, 2, 2, 2, 2, 3).permute(0, 5, 1, 3, 2, 4).reshape(-1, 3, 4, 4)
    skip, out = (0.25 / total).view(-1, 1, 1, 1), (sigma * 0.5 / total.sqrt()).view(-1, 1, 1, 1)
    return skip * x + out * image


def test_the_denoiser_is_its_formulas_and_the_null_class_is_zero():
    x, sigma = torch.randn(4, 3, 4, 4), torch.tensor([0.01, 0.5, 3.0, 60.0])
    found = sampler().evaluate(x, sigma, torch.tensor([0, 1, 2, 3]))
    expected = plain(x, sigma, torch.cat([torch.eye(3), torch.zeros(1, 3)]))
    assert torch.allclose(found, expected, atol=1e-4)


def test_two_steps_of_heun_are_guided_on_all_channels():
    """Karras' levels of two steps are 80, 0.002 and 0: one step with two slopes, and one with one."""
    z, y = torch.randn(2, 3, 4, 4), LABELS[:2]

    def slope(x, level):
        sigma = torch.full((2,), level)
        own, null = (plain(x.float(), sigma, vector) for vector in (torch.eye(3)[y], torch.zeros(2, 3)))
        return (x - (null + 1.5 * (own - null))) / level

    x = 80 * z.double()
    first = slope(x, 80.0)
    second = slope(x + (0.002 - 80) * first, 0.002)
    x = x + (0.002 - 80) * (first + second) / 2
    x = x - 0.002 * slope(x, 0.002)
    made = sampler(steps=2, cfg=1.5)
    assert torch.allclose(made.sample(RecordedNoise([z]), y), x.float(), rtol=1e-3, atol=1e-2)
    assert made.nfe == 3


@pytest.mark.parametrize("cfg", [1.0, 1.5])
def test_image_i_is_the_same_at_batch_1_and_8(cfg):
    made = sampler(steps=5, cfg=cfg)
    whole = made.sample(SeededNoise(range(8)), LABELS)
    for i in range(8):
        alone = made.sample(SeededNoise([i]), LABELS[i : i + 1])
        assert torch.allclose(alone, whole[i : i + 1], rtol=1e-4, atol=1e-4)


def test_the_mask_token_is_left_out_and_an_unknown_class_refused():
    x = torch.randn(1, 3, 4, 4)
    masked = sampler(STATE | {"model.mask_token": torch.ones(1, 1, 8)}, steps=3)
    found = masked.sample(RecordedNoise([x]), LABELS[:1])
    assert torch.equal(found, sampler(steps=3).sample(RecordedNoise([x]), LABELS[:1]))
    with pytest.raises(UsageError, match="classes 0 to 2"):
        masked.sample(SeededNoise([0]), torch.tensor([3]))


def test_heads_that_do_not_divide_the_decoder_are_refused():
    with pytest.raises(ValidationError, match="decoder_num_heads 3"):
        MaskDiTNetwork(**{**NETWORK, "decoder_num_heads": 3})


@pytest.mark.parametrize(("side", "variant"), [(16, "maskdit-xl2-256"), (32, "maskdit-xl2-512-guided")])
def test_the_cards_networks_have_the_parameters_of_their_shapes(side, variant):
    """Counted by hand, positions of both widths included; the authors print 730 M at 256 px."""
    wide, narrow, classes = 1152, 512, 1000

    def block(width):
        attention, mlp = 4 * width**2 + 4 * width, 8 * width**2 + 5 * width
        return attention + mlp + 6 * width * (wide + 1)

    ends = 16 * wide + wide + (256 * wide + wide) + (wide**2 + wide) + classes * wide
    bridge = narrow * (wide + 1) + 2 * wide * (wide + 1)
    last = 16 * (narrow + 1) + 2 * narrow * (wide + 1)
    expected = ends + 28 * block(wide) + bridge + 8 * block(narrow) + last + side**2 * (wide + narrow)
    with torch.device("meta"):
        built = MaskDiTDenoiser(**load_card(REGISTRY / "maskdit.toml").variants[variant].network)
    assert sum(p.numel() for p in built.parameters()) == expected
    assert side == 32 or expected // 10**6 == 730
