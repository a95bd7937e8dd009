"""MDTv2: skips, relative positions, and guidance that grows towards the data.

The network and the guidance are computed again from the formulas; tests/golden compares them with the authors' code.
"""

import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from genbench.cards import load_card
from genbench.methods.mdt.network import MDTv2
from genbench.methods.mdt.sampler import MDTSampler
from genbench.methods.mdt.settings import MDTNetwork, MDTSettings
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.validate import random_state

REGISTRY = Path(__file__).parents[2] / "registry"
NETWORK = {
    "input_size": 6,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 16,
    "depth": 5,
    "num_heads": 2,
    "num_classes": 3,
    "decode_layer": 1,
}
LABELS = torch.arange(8) % 3


def weights():
    built = MDTv2(**NETWORK)
    index = {key: value for key, value in built.state_dict().items() if key.endswith("position_index")}
    state = random_state(built)
    return {key: 3 * value if key.endswith("bias_table") else value for key, value in state.items()} | index


STATE = weights()


def sampler(state=None, **settings):
    return MDTSampler(
        network=NETWORK, settings=MDTSettings(**settings), state=state or STATE, device=torch.device("cpu")
    )


def plain(w, x, t, y):
    """The network by its formulas: two blocks in, two out, one of the decoder."""

    def linear(name, value):
        return functional.linear(value, w[f"{name}.weight"], w[f"{name}.bias"])

    def normed(h):
        return (h - h.mean(-1, keepdim=True)) / (h.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()

    def bias(name):
        """Of 9 cells: the table's row 5·(Δrow + 2) + Δcolumn + 2 for what query and key are apart."""
        table = w[f"{name}.attn.rel_pos_bias.relative_position_bias_table"]
        rows = [[5 * (i // 3 - j // 3 + 2) + i % 3 - j % 3 + 2 for j in range(9)] for i in range(9)]
        return table[torch.tensor(rows)].permute(2, 0, 1)

    def block(name, h):
        shift, scale, gate, shift2, scale2, gate2 = linear(f"{name}.adaLN_modulation.1", c)[:, None].chunk(6, -1)
        q, k, v = (
            part.unflatten(-1, (2, 8)).transpose(1, 2)
            for part in linear(f"{name}.attn.qkv", normed(h) * (1 + scale) + shift).chunk(3, -1)
        )
        attended = (q @ k.mT / math.sqrt(8) + bias(name)).softmax(-1) @ v
        h = h + gate * linear(f"{name}.attn.proj", attended.transpose(1, 2).flatten(2))
        wide = linear(f"{name}.mlp.fc1", normed(h) * (1 + scale2) + shift2)
        return h + gate2 * linear(f"{name}.mlp.fc2", functional.gelu(wide, approximate="tanh"))

    def joined(name, h, earlier):
        return block(name, linear(f"{name}.skip_linear", torch.cat([h, earlier], -1)))

    angle = t[:, None] * 10000.0 ** -(torch.arange(128) / 128)
    c = linear("t_embedder.mlp.0", torch.cat([angle.cos(), angle.sin()], 1))
    c = functional.silu(linear("t_embedder.mlp.2", functional.silu(c)) + w["y_embedder.embedding_table.weight"][y])
    h = functional.conv2d(x, w["x_embedder.proj.weight"], w["x_embedder.proj.bias"], stride=2)
    first = h.flatten(2).transpose(1, 2) + w["pos_embed"]
    one = block("en_inblocks.0", first)
    two = block("en_inblocks.1", one)
    h = joined("en_outblocks.1", joined("en_outblocks.0", two, two), one)
    h = joined("de_blocks.0", h + w["decoder_pos_embed"], first)
    shift, scale = linear("final_layer.adaLN_modulation.1", c)[:, None].chunk(2, -1)
    patches = linear("final_layer.linear", normed(h) * (1 + scale) + shift)
    return patches.view(-1, 3, 3, 2, 2, 8).permute(0, 5, 1, 3, 2, 4).reshape(-1, 8, 6, 6)


def test_the_network_is_its_formulas():
    x, t, y = torch.randn(3, 4, 6, 6), torch.tensor([0.0, 400.0, 999.0]), torch.tensor([0, 2, 3])
    expected = plain(STATE, x, t, y)
    assert torch.allclose(sampler().evaluate(x, t, y), expected, atol=1e-4)
    flat = {key: torch.zeros_like(value) if key.endswith("bias_table") else value for key, value in STATE.items()}
    assert not torch.allclose(plain(flat, x, t, y), expected, atol=1e-2)


@pytest.mark.parametrize(("step", "share"), [(0, 1.0), (999, 0.0), (500, (1 - math.cos(math.pi / 16)) / 2)])
def test_guidance_grows_from_nothing_to_its_scale(step, share):
    """(1 - cos(π·(1 - t/1000)⁴))/2: 1 at step 0, nothing at 999, and at 500 that of π/16."""
    assert sampler(cfg=3.8).scale(torch.tensor([step, step])) == pytest.approx(1 + 2.8 * share, abs=1e-9)


def test_only_three_channels_of_the_noise_are_guided_and_no_variance():
    made, x, y, t = sampler(cfg=3.8), torch.randn(2, 4, 6, 6), LABELS[:2], torch.full((2,), 300)
    own, null = (plain(STATE, x, t.float(), labels) for labels in (y, torch.full((2,), 3)))
    scale = 1 + 2.8 * (1 - math.cos(math.pi * 0.7**4)) / 2
    expected = torch.cat([(null + scale * (own - null))[:, :3], own[:, 3:]], 1)
    assert torch.allclose(made._guided(x, t, y), expected, atol=1e-4)


def test_image_i_is_the_same_at_batch_1_and_8():
    made = sampler(steps=4, cfg=3.8)
    whole = made.sample(SeededNoise(range(8)), LABELS)
    for i in range(8):
        alone = made.sample(SeededNoise([i]), LABELS[i : i + 1])
        assert torch.allclose(alone, whole[i : i + 1], rtol=1e-4, atol=1e-3)


def test_what_only_training_uses_is_left_out():
    x = [torch.randn(1, 4, 6, 6) for _ in range(2)]
    more = {"mask_token": torch.ones(1, 1, 16), "sideblocks.0.attn.proj.bias": torch.ones(16)}
    found = sampler(STATE | more, steps=2).sample(RecordedNoise(x), LABELS[:1])
    assert torch.equal(found, sampler(steps=2).sample(RecordedNoise(x), LABELS[:1]))


def test_blocks_that_do_not_pair_are_refused():
    with pytest.raises(ValidationError, match="no even number"):
        MDTNetwork(**{**NETWORK, "decode_layer": 2})


def test_the_cards_network_has_the_parameters_of_its_shapes():
    """DiT-XL/2's 675,129,632 (its manifest), 16 skips, 28 tables of biases, and the decoder's positions."""
    skips, tables, positions = 16 * (2 * 1152 * 1152 + 1152), 28 * 16 * (31**2 + 3), 256 * 1152
    with torch.device("meta"):
        built = MDTv2(**load_card(REGISTRY / "mdt.toml").variants["mdtv2-xl2-256"].network)
    assert sum(p.numel() for p in built.parameters()) == 675_129_632 + skips + tables + positions
