"""The REPA family's samplers where the answer is known. tests/golden compares whole runs with the authors' code."""

import math

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import ConfigError, UsageError, WeightsError
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.repa.network import RepresentationAlignedSiT, sampling_state
from genbench.methods.repa.sampler import REPASampler
from genbench.methods.repa.settings import REPANetwork, REPASettings
from genbench.schema import check

NETWORK = {
    "input_size": 8,
    "patch_size": 4,
    "in_channels": 4,
    "hidden_size": 32,
    "depth": 3,
    "num_heads": 2,
    "num_classes": 5,
    "learn_sigma": False,
}
CPU = torch.device("cpu")


def weights(**changes):
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    state = RepresentationAlignedSiT(**{**NETWORK, **changes}).state_dict()
    for name, value in state.items():
        if name != "pos_embed" and value.is_floating_point():
            value.normal_(std=0.1 if value.ndim == 1 else value[0].numel() ** -0.5, generator=generator)
        if name.endswith("running_var"):
            value.abs_().add_(0.5)
    return state


STATE = weights()


def sampler(state=None, network=(), **settings):
    return REPASampler(
        network={**NETWORK, **dict(network)}, settings=REPASettings(**settings), state=state or STATE, device=CPU
    )


class Counted:
    """Remembers the times and batch sizes that the network is asked for."""

    def __init__(self, function):
        self.function, self.calls = function, []

    def __call__(self, x, t, y):
        assert x.dtype == t.dtype == torch.float32
        assert len(set(t.tolist())) == 1
        self.calls.append((round(float(t[0]), 6), len(x)))
        return self.function(x, t, y)


def counted(**settings):
    made = sampler(**settings)
    made.evaluate = Counted(made.evaluate)
    return made


def guided_times(made):
    made.sample(SeededNoise([0]), torch.tensor([1]))
    return [t for t, count in made.evaluate.calls if count == 2]


def test_both_ends_of_the_guidance_interval_are_inside_and_outside_it_the_null_half_is_not_evaluated():
    interval = {"mode": "ode", "steps": 8, "cfg": 2.0, "guidance_low": 0.25, "guidance_high": 0.75}
    made = counted(**interval)
    assert guided_times(made) == [0.75, 0.625, 0.5, 0.375, 0.25]
    assert [t for t, _ in made.evaluate.calls] == [1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    assert guided_times(counted(**{**interval, "cfg": 1.0})) == []
    assert guided_times(counted(**{**interval, "guidance_low": 0.251, "guidance_high": 0.749})) == [0.625, 0.5, 0.375]


def test_heuns_second_slope_is_guided_as_the_steps_start_and_the_last_step_has_none():
    made = counted(mode="ode", steps=4, integrator="heun", cfg=2.0, guidance_low=0.5, guidance_high=0.8)
    made.sample(SeededNoise([0]), torch.tensor([1]))
    assert made.evaluate.calls == [(1.0, 1), (0.75, 1), (0.75, 2), (0.5, 2), (0.5, 2), (0.25, 2), (0.25, 1)]
    assert made.nfe == 7


def test_an_sde_steps_to_0_04_and_then_once_without_noise():
    made = counted(mode="sde", steps=5)
    noise = RecordedNoise([torch.zeros(1, 4, 8, 8)] * 5)
    made.sample(noise, torch.tensor([1]))
    assert [t for t, _ in made.evaluate.calls] == [1.0, 0.76, 0.52, 0.28, 0.04]
    assert (noise.left, made.nfe) == (0, 5)


def path(name, t):
    """Weights of data and noise."""
    return (1 - t, t) if name == "linear" else (torch.cos(math.pi / 2 * t), torch.sin(math.pi / 2 * t))


def oracle(name, mean, variance):
    """The velocity of data from N(mean, variance) in every cell: E[dx_t/dt | x_t], by the Gaussian's regression."""

    def velocity(x, t, y):
        with torch.inference_mode(False), torch.enable_grad():
            time = t.clone().double().requires_grad_()
            alpha, sigma = path(name, time)
            d_alpha, d_sigma = (torch.autograd.grad(w.sum(), time, retain_graph=True)[0] for w in (alpha, sigma))
        alpha, sigma, d_alpha, d_sigma = (w.detach().view(-1, 1, 1, 1) for w in (alpha, sigma, d_alpha, d_sigma))
        total = alpha**2 * variance + sigma**2
        centred = x.double() - alpha * mean
        return (d_alpha * mean + (d_alpha * alpha * variance + d_sigma * sigma) / total * centred).float()

    return velocity


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_an_sde_with_the_exact_velocity_of_gaussian_data_ends_in_that_gaussian(name):
    """Which it does only if the score that the path makes of the velocity is right. 8 images of 256 cells."""
    mean, deviation = 0.7, 0.5
    made = sampler(mode="sde", steps=200, path=name)
    made.evaluate = oracle(name, mean, deviation**2)
    found = made.sample(SeededNoise(range(8)), torch.zeros(8, dtype=torch.long))
    # Standard errors over 2,048 cells: 0.011 of the mean, 0.008 of the deviation.
    assert float(found.mean()) == pytest.approx(mean, abs=0.04)
    assert float(found.std()) == pytest.approx(deviation, abs=0.035)


@pytest.mark.parametrize(("integrator", "bound"), [("euler", 0.05), ("heun", 0.003)])
def test_an_ode_with_the_exact_velocity_scales_the_noise_to_the_datas_deviation(integrator, bound):
    """The flow of N(0, 1) to N(m, s²) along Gaussians is x ↦ m + s·x."""
    made = sampler(mode="ode", steps=30, integrator=integrator)
    made.evaluate = oracle("linear", 0.7, 0.25)
    found = made.sample(SeededNoise([5]), torch.tensor([0]))
    expected = 0.7 + 0.5 * SeededNoise([5]).normal((4, 8, 8))
    assert float((found - expected).abs().max()) < bound * 3


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "ode", "steps": 6},
        {"mode": "ode", "steps": 4, "integrator": "heun", "guidance_high": 0.6},
        {"mode": "sde", "steps": 8, "guidance_high": 0.7},
    ],
    ids=["euler", "heun", "sde"],
)
def test_image_i_is_the_same_at_batch_1_and_5(settings):
    made = sampler(cfg=2.0, **settings)
    whole = made.sample(SeededNoise(range(5)), torch.arange(5))
    assert (whole.shape, whole.dtype) == ((5, 4, 8, 8), torch.float32)
    for i in range(5):
        alone = made.sample(SeededNoise([i]), torch.tensor([i]))
        assert torch.allclose(alone[0], whole[i], atol=1e-5)
    assert not torch.allclose(whole[0], whole[1])


def test_latent_statistics_turn_what_was_sampled_into_what_the_decoder_takes():
    network = {"latent_statistics": True}
    state = weights(**network)
    made = sampler(state, network, mode="ode", steps=3)
    found = made.sample(SeededNoise([0]), torch.tensor([1]))
    plain = sampler({k: v for k, v in state.items() if not k.startswith("bn.")}, mode="ode", steps=3)
    expected = plain.sample(SeededNoise([0]), torch.tensor([1]))
    deviation, mean = state["bn.running_var"].sqrt(), state["bn.running_mean"]
    assert torch.allclose(found, expected * deviation[:, None, None] + mean[:, None, None], atol=1e-5)
    assert made.parameters == plain.parameters
    with pytest.raises(WeightsError, match=r"missing bn\.num_batches_tracked"):
        sampler(STATE, network, mode="ode", steps=3)
    with pytest.raises(WeightsError, match=r"unexpected bn\.num_batches_tracked"):
        sampler(state, mode="ode", steps=3)


def test_projectors_are_dropped_and_early_files_blocks_are_renumbered():
    early = {"projectors.0.0.weight": torch.zeros(2)}
    for key, value in STATE.items():
        number = key.split(".")[1] if key.startswith("blocks.") else ""
        later = number in {"1", "2"}
        early[key.replace(f"blocks.{number}.", f"decoder_blocks.{int(number) - 1}.") if later else key] = value
    assert any(key.startswith("decoder_blocks.1.") for key in early)
    current = sampling_state(early, depth=3)
    assert current.keys() == STATE.keys()
    assert all(current[key] is STATE[key] for key in current)


def test_norms_of_queries_and_keys_are_in_the_state_and_change_the_image():
    state = weights(qk_norm=True)
    added = sorted(key for key in state.keys() - STATE.keys() if key.startswith("blocks.0."))
    assert added == [f"blocks.0.attn.{name}.{part}" for name in ("k_norm", "q_norm") for part in ("bias", "weight")]
    normed = sampler(state, {"qk_norm": True}, mode="ode", steps=2)
    plain = sampler({key: state[key] for key in STATE}, mode="ode", steps=2)
    images = [made.sample(SeededNoise([0]), torch.tensor([1])) for made in (normed, plain)]
    assert not torch.allclose(*images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "sde", "steps": 5, "integrator": "heun"}, "integrated by euler"),
        ({"mode": "sde", "steps": 1}, "2 steps or more"),
        ({"mode": "ode", "steps": 0}, "greater than or equal to 1"),
        ({"mode": "ode", "steps": 5, "guidance_high": 1.2}, "less than or equal to 1"),
        ({"mode": "ode", "steps": 5, "guidance_low": 0.8, "guidance_high": 0.7}, "ends before it starts"),
        ({"mode": "ode", "steps": 5, "cfg": 0.5}, "greater than or equal to 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        REPASettings(**settings)


def test_a_variance_half_and_a_label_outside_the_classes_are_refused():
    with pytest.raises(ConfigError, match="learn_sigma"):
        check(REPANetwork, {**NETWORK, "learn_sigma": True}, "x.toml")
    with pytest.raises(UsageError, match="classes 0 to 4"):
        sampler(mode="ode", steps=2).sample(SeededNoise([0]), torch.tensor([5]))
