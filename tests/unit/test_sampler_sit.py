"""SiT's samplers: an image depends on its seed and label alone, and evaluations, labels and weights are checked.

tests/golden compares whole runs with the authors' code.
"""

import math
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from genbench.cards import load_card
from genbench.errors import RunFailedError, UsageError, WeightsError
from genbench.methods.dit.network import DiT
from genbench.methods.loading import find_weights, load_sampler
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.runs import make_run
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings

NETWORK = {
    "input_size": 8,
    "patch_size": 4,
    "in_channels": 3,
    "hidden_size": 32,
    "depth": 1,
    "num_heads": 2,
    "num_classes": 5,
    "learn_sigma": False,
}
CPU = torch.device("cpu")


def weights():
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    state = DiT(**NETWORK).state_dict()
    for name, value in state.items():
        if name != "pos_embed":
            value.normal_(std=0.1 if value.ndim == 1 else value[0].numel() ** -0.5, generator=generator)
    return state


STATE = weights()


def sampler(state=None, **settings):
    return SiTSampler(network=NETWORK, settings=SiTSettings(**settings), state=state or STATE, device=CPU)


def labels(n):
    return torch.arange(n) % NETWORK["num_classes"]


PRESETS = {
    "ode": {"mode": "ode", "steps": 9},
    "heun": {"mode": "ode", "steps": 6, "integrator": "heun"},
    "midpoint": {"mode": "ode", "steps": 6, "integrator": "midpoint"},
    "dopri5": {"mode": "ode", "steps": 2, "integrator": "dopri5"},
    "sde": {"mode": "sde", "steps": 9},
    "sde-heun": {"mode": "sde", "steps": 6, "integrator": "heun", "last_step": "tweedie"},
}


@pytest.mark.parametrize("cfg", [1.0, 2.5])
@pytest.mark.parametrize("preset", PRESETS)
def test_image_i_is_the_same_at_batch_1_7_and_64(preset, cfg):
    """Up to rounding of matrix products, whose order of sums depends on the batch. Of values up to 5.5, fixed steps
    were measured to differ by 2e-6, and dopri5, whose step sizes are real numbers of rounded estimates, by 1.2e-4;
    a level of uint8 is 8e-3."""
    made = sampler(**PRESETS[preset], cfg=cfg)
    whole = made.sample(SeededNoise(range(100, 164)), labels(64))
    assert (whole.shape, whole.dtype) == ((64, 3, 8, 8), torch.float32)
    tolerance = 5e-4 if preset == "dopri5" else 1e-5
    for batch in (1, 7):
        for i in range(0, 21, batch):
            part = made.sample(SeededNoise(range(100 + i, 100 + i + batch)), labels(64)[i : i + batch])
            assert float((part - whole[i : i + batch]).abs().max()) <= tolerance


def test_seed_label_and_guidance_all_move_an_image():
    made = sampler(mode="ode", steps=5)
    image = made.sample(SeededNoise([1]), torch.tensor([0]))
    assert torch.equal(image, made.sample(SeededNoise([1]), torch.tensor([0])))
    others = [
        made.sample(SeededNoise([2]), torch.tensor([0])),
        made.sample(SeededNoise([1]), torch.tensor([1])),
        sampler(mode="ode", steps=5, cfg=2.0).sample(SeededNoise([1]), torch.tensor([0])),
    ]
    assert all(float((image - other).abs().max()) > 0.01 for other in others)


def test_guidance_leaves_the_channels_after_cfg_channels_to_the_conditional_velocity():
    """One Euler step: the first channels move by the guided velocity, the last one as without guidance."""
    plain, guided, everywhere = (
        sampler(mode="ode", steps=2, **guidance).sample(SeededNoise([1, 2]), torch.tensor([0, 3]))
        for guidance in ({}, {"cfg": 3.0, "cfg_channels": 2}, {"cfg": 3.0, "cfg_channels": None})
    )
    assert torch.allclose(guided[:, 2], plain[:, 2], atol=1e-6)
    assert torch.allclose(guided[:, :2], everywhere[:, :2], atol=1e-6)
    assert float((everywhere[:, 2] - plain[:, 2]).abs().max()) > 0.01


# By the authors' count: an ODE makes steps - 1 steps, an SDE steps - 1 noisy ones and the last.
@pytest.mark.parametrize(
    ("settings", "nfe"),
    [
        ({"mode": "ode", "steps": 9}, 8),
        ({"mode": "ode", "steps": 9, "integrator": "heun"}, 16),
        ({"mode": "ode", "steps": 9, "integrator": "midpoint", "cfg": 2.0}, 16),
        ({"mode": "sde", "steps": 9}, 9),
        ({"mode": "sde", "steps": 9, "last_step": "none"}, 8),
        ({"mode": "sde", "steps": 9, "integrator": "heun", "last_step": "euler"}, 17),
    ],
)
def test_evaluations_are_counted_without_doubling_for_guidance(settings, nfe):
    made = sampler(**settings)
    assert made.nfe is None
    calls = []
    made.network.register_forward_hook(lambda *_: calls.append(1))
    made.sample(SeededNoise([0, 1]), torch.tensor([0, 1]))
    assert made.nfe == nfe == len(calls)


def test_an_adaptive_solver_counts_the_evaluations_of_each_image():
    made = sampler(**PRESETS["dopri5"])
    counts = []
    for seed in range(4):
        made.sample(SeededNoise([seed]), torch.tensor([0]))
        counts.append(made.nfe)
    made.sample(SeededNoise(range(4)), torch.zeros(4, dtype=torch.long))
    assert made.nfe == pytest.approx(sum(counts) / 4)


def test_an_ode_of_velocity_zero_stays_at_its_noise():
    state = {k: torch.zeros_like(v) for k, v in STATE.items()}
    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(sampler(state, mode="ode", steps=4).sample(RecordedNoise([noise]), labels(2)), noise)


# w(t) by the table of forms in SiT (arXiv:2401.08740, appendix), on the linear path where sigma_t = 1 - t.
FORMS = {
    "sigma": lambda t: 1 - t,
    "linear": lambda t: 1 - t,
    "constant": lambda t: 1.0,
    "decreasing": lambda t: 0.25 * (math.cos(math.pi * t) + 1) ** 2,
    "increasing-decreasing": lambda t: math.sin(math.pi * t) ** 2,
}


@pytest.mark.parametrize("integrator", ["euler", "heun"])
@pytest.mark.parametrize("form", FORMS)
def test_noisy_steps_by_hand(form, integrator):
    """A network of velocity zero: score = -x/(1 - t), so that the drift is -w(t)·x/(1 - t)."""
    state = {k: torch.zeros_like(v) for k, v in STATE.items()}
    draws = torch.randn(3, 2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    settings = {"mode": "sde", "steps": 3, "diffusion": form, "integrator": integrator, "last_step_size": 0.5}
    found = sampler(state, **settings, last_step="none").sample(RecordedNoise(list(draws)), labels(2))
    x, t, dt, w = draws[0], 0.0, 0.25, FORMS[form]
    for draw in draws[1:]:
        kick = draw * math.sqrt(2 * w(t) * dt)
        if integrator == "euler":
            x = x - dt * w(t) / (1 - t) * x + kick
        else:  # the noise first, then both slopes of the drift
            moved = x + kick
            first = -w(t) / (1 - t) * moved
            second = -w(t + dt) / (1 - t - dt) * (moved + dt * first)
            x = moved + dt * (first + second) / 2
        t += dt
    assert torch.allclose(found, x, atol=1e-5)


def test_a_larger_diffusion_norm_is_a_larger_w():
    """Only the last, deterministic step is left out: x' = x - dt·norm·x + sqrt(2·norm·dt)·kick at t = 0."""
    state = {k: torch.zeros_like(v) for k, v in STATE.items()}
    x, kick = torch.randn(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    made = sampler(state, mode="sde", steps=2, diffusion_norm=3.0, last_step="none", last_step_size=0.9)
    found = made.sample(RecordedNoise([x, kick]), labels(1))
    assert torch.allclose(found, x - 0.1 * 3 * x + math.sqrt(2 * 3 * 0.1) * kick, atol=1e-5)


def test_last_steps_by_their_definitions():
    """From one state before it. On the linear path Tweedie's mean of the data is x + (1 - t)·v: Euler's whole step."""
    before, mean, euler, tweedie = (
        sampler(mode="sde", steps=6, cfg=2.0, cfg_channels=None, last_step=last, last_step_size=0.2).sample(
            SeededNoise([5, 6]), labels(2)
        )
        for last in ("none", "mean", "euler", "tweedie")
    )
    assert torch.allclose(tweedie, euler, atol=1e-5)
    velocity, t = (euler - before) / 0.2, 0.8
    score = (t * velocity - before) / ((1 - t) ** 2 + t * (1 - t))
    assert torch.allclose(mean, before + 0.2 * (velocity + (1 - t) * score), atol=1e-4)
    assert float((mean - euler).abs().max()) > 0.01


@pytest.mark.parametrize("wrong", [[-1, 0], [0, 5], [7]])
def test_labels_outside_the_classes_are_refused(wrong):
    """Class 5 exists in the table: it is the null class, and no image of it can be asked for."""
    with pytest.raises(UsageError, match="the network has classes 0 to 4"):
        sampler(mode="ode", steps=2).sample(SeededNoise(range(len(wrong))), torch.tensor(wrong))


def test_no_images_are_no_images():
    for settings in PRESETS.values():
        assert sampler(**settings).sample(SeededNoise([]), torch.tensor([], dtype=torch.long)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"mode": "ode", "steps": 1}, "steps"),
        ({"mode": "pde", "steps": 9}, "mode"),
        ({"mode": "ode", "steps": 9, "cfg": -1}, "cfg"),
        ({"mode": "ode", "steps": 9, "cfg": math.nan}, "cfg"),
        ({"mode": "ode", "steps": 9, "cfg": math.inf}, "cfg"),
        ({"mode": "ode", "steps": 9, "rtol": 0}, "rtol"),
        ({"mode": "sde", "steps": 9, "last_step_size": 1}, "last_step_size"),
        ({"mode": "sde", "steps": 9, "last_step_size": 0}, "last_step mean has a last_step_size above 0"),
        ({"mode": "sde", "steps": 9, "integrator": "dopri5"}, "dopri5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        SiTSettings(**settings)


def test_a_network_that_gives_nan_ends_dopri5():
    state = {**STATE, "final_layer.linear.bias": torch.full((48,), math.nan)}
    with pytest.raises(RunFailedError, match="dopri5"):
        sampler(state, **PRESETS["dopri5"]).sample(SeededNoise([0]), torch.tensor([0]))


def test_weights_that_do_not_fit_are_listed_by_key():
    state = dict(STATE)
    state["blocks.9.attn.proj.bias"] = state.pop("blocks.0.attn.proj.bias")
    state["t_embedder.mlp.0.bias"] = torch.zeros(3)
    with pytest.raises(WeightsError) as caught:
        sampler(state, mode="ode", steps=2)
    assert str(caught.value) == (
        "the weights do not fit the network: missing blocks.0.attn.proj.bias; "
        "unexpected blocks.9.attn.proj.bias; of another shape t_embedder.mlp.0.bias"
    )
    assert "card's network" in caught.value.hint


def test_a_long_list_of_keys_is_cut():
    state = {f"module.{key}": value for key, value in STATE.items()}
    with pytest.raises(WeightsError, match=rf"missing .* and {len(state) - 5} more; unexpected module\."):
        sampler(state, mode="ode", steps=2)


def test_weights_are_needed_and_float16_ones_are_computed_in_float32():
    with pytest.raises(WeightsError, match="needs weights"):
        SiTSampler(network=NETWORK, settings=SiTSettings(mode="ode", steps=2), state=None, device=CPU)
    half = {key: value.half() for key, value in STATE.items()}
    made = sampler(half, mode="ode", steps=2)
    assert {p.dtype for p in made.network.parameters()} == {torch.float32}
    assert made.parameters == sum(value.numel() for value in STATE.values())


CARD = """
[method]
id = "tiny"
name = "Tiny"
title = "Tiny"
sampler = "sit"
[variants.tiny]
summary = "small"
dataset = "emoji32"
resolution = 8
classes = 5
quantise = "round"
default_preset = "ode"
weights = { file = "tiny.safetensors" }
network = { input_size = 8, patch_size = 4, in_channels = 3, hidden_size = 32, depth = 1, num_heads = 2, \
num_classes = 5, learn_sigma = false }
presets.ode = { mode = "ode", steps = 5, cfg = 2.0 }
"""


@pytest.fixture
def run(tmp_path):
    """A run whose card and weights lie in a registry of its own."""
    (tmp_path / "weights").mkdir()
    save_file(STATE, tmp_path / "weights" / "tiny.safetensors")
    (tmp_path / "tiny.toml").write_text(CARD)
    return make_run(load_card(tmp_path / "tiny.toml"), "tiny", "ode", {})


def test_a_run_is_loaded_with_its_weights_and_settings(run, tmp_path, capsys):
    found = find_weights(run, cache=tmp_path / "cache", registry=[tmp_path])
    assert found is not None
    assert "pinned" in capsys.readouterr().err
    made = load_sampler(run, found, "cpu")
    expected = sampler(mode="ode", steps=5, cfg=2.0).sample(SeededNoise([4]), torch.tensor([1]))
    assert torch.equal(made.sample(SeededNoise([4]), torch.tensor([1])), expected)


def test_a_run_without_weights_is_refused(run, tmp_path):
    bare = run.variant.model_copy(update={"weights": None})
    assert find_weights(type(run)(**{**vars(run), "variant": bare}), cache=tmp_path, registry=[]) is None
    with pytest.raises(WeightsError, match="needs weights"):
        load_sampler(run, None, "cpu")


def test_a_sampler_is_built_without_torchs_compiler():
    """Initialising or computing on the meta device would import it: seconds at the start of every run."""
    code = f"""
import sys, torch
from genbench.methods.dit.network import DiT
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings
network = {NETWORK!r}
SiTSampler(network=network, settings=SiTSettings(mode="ode", steps=2), state=DiT(**network).state_dict(),
           device=torch.device("cpu"))
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
