"""SFD: two clocks in one network, and the ODE of three stretches that they make.

Networks and samplers are computed again from the formulas; tests/golden compares them with the authors' code.
"""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from genbench.cards import load_card
from genbench.errors import UsageError
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.sfd.network import SemanticFirstDiT
from genbench.methods.sfd.sampler import SFDSampler
from genbench.methods.sfd.settings import SFDNetwork, SFDSettings

REGISTRY = Path(__file__).parents[2] / "registry"
GOLDEN = Path(__file__).parents[1] / "golden"
GUIDE = {
    "input_size": 3,
    "patch_size": 1,
    "in_channels": 5,
    "hidden_size": 16,
    "depth": 1,
    "num_heads": 2,
    "num_classes": 3,
    "use_qknorm": True,
    "use_swiglu": True,
    "use_rope": True,
    "use_rmsnorm": True,
    "semantic_chans": 2,
    "semfirst_delta_t": 0.3,
}
NETWORK = {**GUIDE, "depth": 2, "guide": GUIDE}
LABELS = torch.arange(8) % 3


def weights(network):
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    built = SemanticFirstDiT(**network)
    for name, parameter in built.named_parameters():
        if "pos_embed" not in name:
            std = 0.3 if parameter.ndim == 1 else parameter[0].numel() ** -0.5
            parameter.data.normal_(std=std, generator=generator)
    return built.state_dict()


def sampler(changes=None, state=None, **settings):
    network = {**NETWORK, **(changes or {})}
    return SFDSampler(
        network=network,
        settings=SFDSettings(**settings),
        state=state or weights(network),
        device=torch.device("cpu"),
    )


def noise(n):
    return torch.randn(n, 5, 3, 3, generator=torch.Generator().manual_seed(1))


def rms(x, weight):
    return x * (x.square().mean(-1, keepdim=True) + 1e-6).rsqrt() * weight


def plain(w, x, semantic, texture, y, depth):
    """The network by its formulas: tokens of one cell, rotary positions, RMS norms, gated MLPs, adaptive vectors."""

    def linear(name, value):
        return functional.linear(value, w[f"{name}.weight"], w[f"{name}.bias"])

    def clock(name, t):
        angle = t[:, None] * 10000.0 ** -(torch.arange(128) / 128)
        features = torch.cat([angle.cos(), angle.sin()], 1)
        return linear(f"{name}.mlp.2", functional.silu(linear(f"{name}.mlp.0", features)))

    def turned(q):  # (N, heads, T, 8): pairs of the first half by the row, of the second by the column
        place = torch.arange(9)
        angle = torch.stack([place // 3, place // 3, place % 3, place % 3], 1) * torch.tensor([1, 0.01, 1, 0.01])
        pairs = torch.view_as_complex(q.unflatten(-1, (4, 2)).contiguous()) * torch.polar(torch.ones(9, 4), angle)
        return torch.view_as_real(pairs).flatten(-2)

    c = torch.cat([clock("t_embedder_sem", semantic), clock("t_embedder_tex", texture)], 1)
    c = functional.silu(c + w["y_embedder.embedding_table.weight"][y])[:, None]
    h = x.flatten(2).transpose(1, 2) @ w["x_embedder.proj.weight"].flatten(1).T + w["x_embedder.proj.bias"]
    h = h + w["pos_embed"]
    for i in range(depth):
        b = f"blocks.{i}"
        shift, scale, gate, shift2, scale2, gate2 = linear(f"{b}.adaLN_modulation.1", c).chunk(6, -1)
        given = rms(h, w[f"{b}.norm1.weight"]) * (1 + scale) + shift
        q, k, v = (part.unflatten(-1, (2, 8)).transpose(1, 2) for part in linear(f"{b}.attn.qkv", given).chunk(3, -1))
        q, k = rms(q, w[f"{b}.attn.q_norm.weight"]), rms(k, w[f"{b}.attn.k_norm.weight"])
        attended = ((turned(q) @ turned(k).mT) / 8**0.5).softmax(-1) @ v
        h = h + gate * linear(f"{b}.attn.proj", attended.transpose(1, 2).flatten(2))
        gated, value = linear(f"{b}.mlp.w12", rms(h, w[f"{b}.norm2.weight"]) * (1 + scale2) + shift2).chunk(2, -1)
        h = h + gate2 * linear(f"{b}.mlp.w3", functional.silu(gated) * value)
    shift, scale = linear("final_layer.adaLN_modulation.1", c).chunk(2, -1)
    out = linear("final_layer.linear", rms(h, w["final_layer.norm_final.weight"]) * (1 + scale) + shift)
    return out.transpose(1, 2).unflatten(-1, (3, 3))


def test_the_network_is_its_formulas_before_between_and_after_the_two_starts():
    state, x, y = weights(GUIDE), noise(4), LABELS[:4]
    t = torch.tensor([0.1, 0.3, 0.8, 1.2])
    found = sampler({"depth": 1, "guide": None}, state=state).evaluate(x, t, y)
    expected = plain(state, x, torch.tensor([0.1, 0.3, 0.8, 1.0]), torch.tensor([0.0, 0.0, 0.5, 0.9]), y, depth=1)
    assert torch.allclose(found, expected, atol=1e-4)
    assert float(expected.std()) > 0.1


def test_the_ode_moves_semantics_then_both_then_the_texture():
    """Classical Runge-Kutta over each stretch on its own, of which the sampler knows nothing."""
    state, x, y = weights(NETWORK), noise(2), LABELS[:2]
    state["final_layer.linear.weight"] *= 0.3  # fewer steps
    made = sampler(state=state, rtol=1e-4, atol=1e-4)

    def velocity(value, t):
        times = torch.full((2,), t)
        return plain(state, value, times.clamp(max=1), (times - 0.3).clamp(min=0), y, depth=2)

    expected = x
    for start, end, moved in [(0, 0.3, [0, 0, 0, 1, 1]), (0.3, 1, [1, 1, 1, 1, 1]), (1, 1.3, [1, 1, 1, 0, 0])]:
        h, mask = (end - start) / 20, torch.tensor(moved).view(1, 5, 1, 1)
        for i in range(20):
            t = start + i * h
            k1 = velocity(expected, t) * mask
            k2 = velocity(expected + h / 2 * k1, t + h / 2) * mask
            k3 = velocity(expected + h / 2 * k2, t + h / 2) * mask
            k4 = velocity(expected + h * k3, t + h) * mask
            expected = expected + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    found = made.sample(RecordedNoise([x]), y)
    assert float((expected - x)[:, :3].abs().mean()) > 0.3
    assert found.shape == (2, 3, 3, 3)  # the semantic channels are not decoded
    assert float((found - expected[:, :3]).abs().max()) < 0.03  # dopri5 steps over both starts


AUTO = {"guidance": "autoguidance", "scale": 1.5}
COARSE = {"rtol": 3e-3, "atol": 3e-3}


@pytest.mark.parametrize("settings", [{}, AUTO, {"guidance": "cfg", "scale": 2.0}], ids=str)
def test_image_i_is_the_same_at_batch_1_and_8(settings):
    made = sampler(**settings, **COARSE)
    whole = made.sample(SeededNoise(range(8)), LABELS)
    assert made.nfe >= 14
    for i in (0, 5):
        assert torch.allclose(made.sample(SeededNoise([i]), LABELS[i : i + 1]), whole[i : i + 1], atol=1e-4)


def test_guidance_is_away_from_the_guide_of_the_same_class_on_all_channels():
    state, x, y, t = weights(NETWORK), noise(2), LABELS[:2], torch.full((2,), 0.6)
    weak = {key.removeprefix("guide."): value for key, value in state.items() if key.startswith("guide.")}
    made = sampler(state=state, **AUTO)
    times = torch.full((2,), 0.6), torch.full((2,), 0.3)
    own, other = plain(state, x, *times, y, depth=2), plain(weak, x, *times, y, depth=1)
    assert torch.allclose(made.contrasted(x, t, y), other + 1.5 * (own - other), atol=1e-4)


def test_heads_that_only_training_uses_are_left_out_of_both_files():
    state, x = weights(NETWORK), noise(2)
    heads = {f"{prefix}repa_projector.0.weight": torch.zeros(2, 2) for prefix in ("", "guide.")}
    expected = sampler(state=state, **COARSE).sample(RecordedNoise([x]), LABELS[:2])
    assert torch.equal(sampler(state=state | heads, **COARSE).sample(RecordedNoise([x]), LABELS[:2]), expected)


def test_autoguidance_without_a_guide_is_refused():
    with pytest.raises(UsageError, match="needs a second network"):
        sampler({"guide": None}, **AUTO)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"semantic_chans": 5}, "leave no texture"), ({"guide": {**GUIDE, "guide": GUIDE}}, "no guide of its own")],
)
def test_a_network_that_cannot_be_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SFDNetwork(**{**NETWORK, **changes})


@pytest.mark.parametrize(
    ("variant", "official"),
    [
        ("sfd-xl-256", REGISTRY / "manifests" / "lightningdit-XL-1.json"),
        ("sfd-xxl-256", GOLDEN / "manifests" / "lightningdit-1p0B-1.json"),
    ],
    ids=["sfd-xl-256", "sfd-xxl-256"],
)
def test_the_cards_networks_are_lightningdits_but_for_what_the_paper_changes(variant, official):
    """LightningDiT's official keys with 16 more channels, norms of heads, and two clocks of half the width."""
    chosen = load_card(REGISTRY / "sfd.toml").variants[variant]
    shapes = json.loads(official.read_text())["keys"]
    width = shapes["x_embedder.proj.bias"][0]
    head = width // chosen.network["num_heads"]
    for key in ("x_embedder.proj.weight", "final_layer.linear.weight", "final_layer.linear.bias"):
        shapes[key] = [48 if size == 32 else size for size in shapes[key]]
    clock = {key: shapes.pop(key) for key in list(shapes) if key.startswith("t_embedder.")}
    for name in ("t_embedder_sem", "t_embedder_tex"):
        halves = {key: [width // 2 if size == width else size for size in shape] for key, shape in clock.items()}
        shapes |= {key.replace("t_embedder", name): shape for key, shape in halves.items()}
    for i in range(chosen.network["depth"]):
        shapes |= {f"blocks.{i}.attn.{part}_norm.weight": [head] for part in "qk"}
    with torch.device("meta"):
        built = SemanticFirstDiT(**chosen.network)
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == shapes
