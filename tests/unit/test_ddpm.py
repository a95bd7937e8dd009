"""Respaced schedules by the definition of a Gaussian diffusion. tests/golden compares tables with the authors'."""

import pytest
import torch
from pydantic import ValidationError

from genbench.methods.ddpm import schedule, shifted_schedule
from genbench.methods.dit.settings import DiTSettings
from genbench.methods.respacing import retained_steps, shifted_steps


def test_all_steps_are_the_schedule_of_training():
    full = schedule(1000, "even")
    assert torch.allclose(full.betas, torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), rtol=1e-9)
    assert full.timestep_map.tolist() == list(range(1000))
    assert all(torch.equal(a, b) for a, b in zip(full, schedule(1000, "stride"), strict=True))


@pytest.mark.parametrize(
    ("steps", "spacing"), [(250, "even"), (7, "even"), (2, "even"), (25, "stride"), (250, "stride")]
)
def test_retained_steps_are_as_noisy_as_in_training(steps, spacing):
    found, full = schedule(steps, spacing), schedule(1000, "even")
    assert len(found.timestep_map) == steps
    assert torch.allclose(found.alphas_cumprod, full.alphas_cumprod[found.timestep_map], rtol=1e-12)


def test_even_reaches_both_ends_and_a_stride_starts_at_zero():
    assert retained_steps(4, "even") == [0, 333, 666, 999]
    # 999 / 2 = 499.5 goes to the even neighbour.
    assert retained_steps(3, "even") == [0, 500, 999]
    assert retained_steps(4, "stride") == [0, 250, 500, 750]


@pytest.mark.parametrize("steps", [2, 5, 50])
def test_the_posterior_is_the_product_of_its_two_gaussians(steps):
    """q(x_{t-1} | x_t, x_0) is N(x_t; √α x_{t-1}, β) times N(x_{t-1}; √ᾱ' x_0, 1 - ᾱ'): precisions add."""
    s = schedule(steps, "even")
    alphas, before = (1 - s.betas)[1:], s.previous[1:]
    variance = 1 / (alphas / s.betas[1:] + 1 / (1 - before))
    assert torch.allclose(s.posterior_log_variance_clipped[1:], variance.log(), rtol=1e-9)
    assert torch.allclose(s.posterior_mean_coef1[1:], variance * before.sqrt() / (1 - before), rtol=1e-9)
    assert torch.allclose(s.posterior_mean_coef2[1:], variance * alphas.sqrt() / s.betas[1:], rtol=1e-9)
    # The last step is the estimate of the data itself; its variance stands for that of the step before.
    assert (float(s.posterior_mean_coef1[0]), float(s.posterior_mean_coef2[0])) == (pytest.approx(1.0), 0.0)
    assert s.posterior_log_variance_clipped[0] == s.posterior_log_variance_clipped[1]


def test_a_count_that_no_stride_leaves_is_refused():
    with pytest.raises(ValueError, match="no whole stride takes 300 of 1000 steps"):
        retained_steps(300, "stride")
    with pytest.raises(ValidationError, match="no whole stride takes 300 of 1000 steps"):
        DiTSettings(steps=300, spacing="stride")


def test_cosine_noise_is_that_of_its_cumulative_product():
    """ᾱ at step i over ᾱ before the first is cos² of Nichol & Dhariwal's equation 17, but where β is cut to 0.999."""
    full = schedule(1000, "even", "cosine")
    t = (torch.arange(1, 1001, dtype=torch.float64) / 1000 + 0.008) / 1.008 * torch.pi / 2
    expected = t.cos().square() / torch.tensor(0.008 / 1.008 * torch.pi / 2, dtype=torch.float64).cos().square()
    assert torch.allclose(full.alphas_cumprod[:-1], expected[:-1], rtol=1e-9)
    assert float(full.betas[-1]) == pytest.approx(0.999)


def test_latent_diffusions_steps_are_one_later_and_end_at_the_first_of_training():
    """ᾱ by definition: √β rises linearly, a step's ᾱ is the product of 1 - β up to it."""
    found = shifted_schedule(250, 0.0015, 0.0195)
    roots = torch.linspace(0.0015**0.5, 0.0195**0.5, 1000, dtype=torch.float64)
    trained = (1 - roots**2).cumprod(0)
    assert found.timestep_map.tolist() == list(range(1, 1000, 4))
    assert torch.allclose(found.alphas_cumprod, trained[1::4], rtol=1e-12)
    assert torch.allclose(found.previous, trained[[0, *range(1, 996, 4)]], rtol=1e-12)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_an_implicit_step_of_the_true_data_keeps_the_marginal(eta):
    """x_i = √ᾱ x_0 + √(1-ᾱ) ε goes to mean √ᾱ' x_0 + c ε with c² + σ² = 1 - ᾱ', whatever σ (DDIM, section 4.1)."""
    s, i = shifted_schedule(100, 0.0015, 0.0195), 40
    data, epsilon = torch.tensor([0.7], dtype=torch.float64), torch.tensor([-1.3], dtype=torch.float64)
    now, before = s.alphas_cumprod[i], s.previous[i]
    mean, spread = s.implicit(now.sqrt() * data + (1 - now).sqrt() * epsilon, data, i, eta)
    assert (spread is None) == (eta == 0)
    c = (mean - before.sqrt() * data) / epsilon
    assert float(c**2) + (spread or 0) ** 2 == pytest.approx(1 - float(before), rel=1e-9)


def test_with_full_noise_an_implicit_step_has_ddpms_variance():
    s = shifted_schedule(100, 0.0015, 0.0195)
    _, spread = s.implicit(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64), 40, 1.0)
    assert spread == pytest.approx(float((s.posterior_log_variance_clipped[40] / 2).exp()), rel=1e-9)


def test_shifted_steps_past_the_end_are_refused():
    with pytest.raises(ValueError, match="334 steps"):
        shifted_steps(334)  # 0, 3, …, 999
    with pytest.raises(ValueError, match="no whole stride"):
        shifted_steps(300)
