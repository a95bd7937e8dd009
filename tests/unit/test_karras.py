"""The noise levels and samplers of EDM on a denoiser that is known: of data from N(0, 1), D(x, σ) = x / (1 + σ²)."""

import math

import pytest
import torch
from pydantic import ValidationError

from genbench.methods.karras import ancestral, euler, heun, midpoint, noise_levels, to_zero
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.settings import ChurnSettings, KarrasSettings

GRID = KarrasSettings()
CALM = ChurnSettings()
SILENT = RecordedNoise([])


def gaussian(x, sigma):
    return x / (1 + sigma.view(-1, 1, 1, 1) ** 2)


def draw(n, seed=0):
    return torch.randn((n, 1, 1, 1), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_grid_is_the_one_that_edm_publishes():
    # EDM's default grid of 18 levels, to five places.
    expected = [80.0, 57.58598, 40.78557, 28.37458, 19.35245, 12.91008, 8.40094, 5.31519, 3.25682]
    expected += [1.92334, 1.08817, 0.58535, 0.29644, 0.13952, 0.05995, 0.02293, 0.00753, 0.002, 0]
    found = to_zero(noise_levels(18, GRID))
    assert found.dtype == torch.float64
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.float64), atol=5e-6)


def test_the_grids_of_consistency_models_pass_through_their_published_levels():
    found = [float(noise_levels(count, GRID)[i]) for i, count in [(22, 40), (106, 201), (17, 40), (67, 151)]]
    assert found == pytest.approx([1.382368, 1.912844, 4.365562, 3.991219], abs=1e-6)


@pytest.mark.parametrize(
    ("solve", "least", "most", "nfe"),
    [
        (lambda x, levels: euler(gaussian, x, levels), 1.7, 2.3, lambda steps: steps),
        (lambda x, levels: heun(gaussian, x, levels, SILENT, CALM), 3.4, 4.6, lambda steps: 2 * steps - 1),
        (lambda x, levels: midpoint(gaussian, x, levels, SILENT, CALM), 3.4, 4.6, lambda steps: 2 * steps),
    ],
    ids=["euler", "heun", "midpoint"],
)
def test_the_flow_of_a_gaussian_is_followed_to_the_methods_order(solve, least, most, nfe):
    """x grows as √(1 + σ²): noise at σ = 80 ends at noise·80/√6401. Twice the steps leave 1/2 or 1/4 of the error."""
    noise = draw(5)

    def error(steps):
        solution = solve(noise * 80, to_zero(noise_levels(steps, GRID)))
        assert solution.evaluations == nfe(steps)
        return float((solution.x - noise * 80 / math.sqrt(6401)).abs().max())

    assert least < error(64) / error(128) < most


@pytest.mark.parametrize(
    "solve",
    [
        lambda x, levels, noise: heun(gaussian, x, levels, noise, ChurnSettings(s_churn=40, s_min=0.05, s_max=50)),
        lambda x, levels, noise: midpoint(gaussian, x, levels, noise, ChurnSettings(s_churn=40, s_min=0.05, s_max=50)),
        lambda x, levels, noise: ancestral(gaussian, x, levels, noise),
    ],
    ids=["heun", "midpoint", "ancestral"],
)
def test_added_noise_keeps_the_variance_and_forgets_the_start(solve):
    start = draw(4000)
    steps = 128
    draws = [draw(4000, seed) for seed in range(1, steps + 1)]
    found = solve(start * 80, to_zero(noise_levels(steps, GRID)), RecordedNoise(draws)).x
    # 4000 draws: the variance of a Gaussian is known to 2.2 %, a correlation to 1.6 %.
    assert float(found.var()) == pytest.approx(1, abs=0.1)
    assert float((found * start).mean()) < 0.9  # without added noise it is 1


def test_a_level_grows_by_the_share_of_a_step_and_at_most_by_the_root_of_two():
    seen = []

    def denoise(x, sigma):
        seen.append(float(sigma[0]))
        return gaussian(x, sigma)

    levels = torch.tensor([50.1, 10.0, 1.0, 0.04, 0.0], dtype=torch.float64)
    draws = RecordedNoise([draw(1, seed) for seed in range(4)])
    heun(denoise, draw(1), levels, draws, ChurnSettings(s_churn=1, s_min=0.05, s_max=50))
    assert seen == pytest.approx([50.1, 10.0, 12.5, 1.0, 1.25, 0.04, 0.04])
    assert draws.left == 0  # drawn also where the level is outside, as the authors' generators advance
    seen.clear()
    heun(denoise, draw(1), levels[1:3], RecordedNoise([draw(1)]), ChurnSettings(s_churn=1))
    assert seen[0] == pytest.approx(10 * math.sqrt(2))


def test_noise_is_drawn_in_the_dtype_of_the_state():
    x = torch.zeros((2, 1, 2, 2), dtype=torch.float64)
    found = ancestral(gaussian, x, torch.tensor([2.0, 1.0]), SeededNoise([1, 2]))
    assert (found.x.dtype, found.x.shape) == (torch.float64, (2, 1, 2, 2))


def test_levels_that_do_not_descend_are_refused():
    with pytest.raises(ValidationError, match="sigma_min 80 is not below sigma_max 80"):
        KarrasSettings(sigma_min=80)
