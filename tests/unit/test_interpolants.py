"""Paths from noise to data by their definitions, and SiT on each of them with the exact answer for Gaussian data."""

import math

import pytest
import torch

from genbench.methods.dit.network import DiT
from genbench.methods.interpolants import PATHS
from genbench.methods.noise import SeededNoise
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings

TIMES = torch.linspace(0.02, 0.98, 25, dtype=torch.float64)
MEAN, VARIANCE = 0.7, 0.25


@pytest.mark.parametrize("name", PATHS)
def test_a_path_goes_from_noise_to_data_and_its_derivatives_are_its_own(name):
    start, end = (PATHS[name](torch.tensor(t, dtype=torch.float64)) for t in (0.0, 1.0))
    assert float(start.alpha) == pytest.approx(0, abs=0.01)  # of vp exp(-5.025)
    assert float(start.sigma) == pytest.approx(1, abs=1e-4)
    assert (float(end.alpha), float(end.sigma)) == (pytest.approx(1), pytest.approx(0, abs=1e-12))
    times = TIMES.clone().requires_grad_()
    path = PATHS[name](times)
    for value, derivative in ((path.alpha, path.d_alpha), (path.sigma, path.d_sigma)):
        (expected,) = torch.autograd.grad(value.sum(), times, retain_graph=True)
        assert torch.allclose(derivative, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["gvp", "vp"])
def test_variance_is_preserved_where_the_name_says_so(name):
    path = PATHS[name](TIMES)
    assert torch.allclose(path.alpha**2 + path.sigma**2, torch.ones_like(TIMES), rtol=1e-12)


def test_the_vp_diffusion_is_half_of_its_linear_beta():
    """Song et al. (arXiv:2011.13456), appendix C: β from 20 at the noise to 0.1 at the data."""
    assert torch.allclose(PATHS["vp"](TIMES).diffusion, (20 - 19.9 * TIMES) / 2, rtol=1e-9)


def exact(name, x, t):
    """Velocity, score and expected noise of x_t where the data are N(MEAN, VARIANCE), by regression of Gaussians."""
    path = PATHS[name](t)
    total = path.alpha**2 * VARIANCE + path.sigma**2
    centred = x - path.alpha * MEAN
    slope = (path.d_alpha * path.alpha * VARIANCE + path.d_sigma * path.sigma) / total
    return {
        "velocity": path.d_alpha * MEAN + slope * centred,
        "score": -centred / total,
        "noise": path.sigma * centred / total,
    }


@pytest.mark.parametrize("name", PATHS)
def test_velocity_and_score_follow_from_each_other(name):
    x = torch.linspace(-2, 2, 25, dtype=torch.float64)
    known = exact(name, x, TIMES)
    path = PATHS[name](TIMES)
    assert torch.allclose(path.score_of_velocity(known["velocity"], x), known["score"], rtol=1e-7)
    assert torch.allclose(path.velocity_of_score(known["score"], x), known["velocity"], rtol=1e-7)
    assert torch.allclose(known["noise"], -path.sigma * known["score"], rtol=1e-12)


def sampler(**settings):
    network = {"input_size": 8, "patch_size": 4, "in_channels": 4, "hidden_size": 16, "depth": 1, "num_heads": 2}
    network |= {"num_classes": 3, "learn_sigma": False}
    state = DiT(**network).state_dict()
    made = SiTSampler(network=network, settings=SiTSettings(**settings), state=state, device=torch.device("cpu"))
    name, prediction = made.settings.path, made.settings.prediction
    made.estimate = lambda x, t, labels: exact(name, x, t.view(-1, 1, 1, 1))[prediction]
    return made


@pytest.mark.parametrize("prediction", ["velocity", "noise", "score"])
@pytest.mark.parametrize("name", PATHS)
def test_an_ode_maps_the_noise_onto_the_datas_gaussian(name, prediction):
    """x ↦ m + s·x, but for what the authors cut off where a path or a prediction is singular, and vp's first α."""
    found = sampler(path=name, prediction=prediction, mode="ode", steps=201, integrator="heun").sample(
        SeededNoise([5]), torch.tensor([0])
    )
    expected = MEAN + math.sqrt(VARIANCE) * SeededNoise([5]).normal((4, 8, 8))
    assert float((found - expected).abs().max()) < 0.02


# sbdm's w grows without bound towards t = 0 on the paths that begin with no data at all.
@pytest.mark.parametrize(("name", "diffusion"), [*((name, "sigma") for name in PATHS), ("vp", "sbdm")])
@pytest.mark.parametrize("prediction", ["velocity", "noise", "score"])
def test_an_sde_ends_in_the_datas_gaussian(name, prediction, diffusion):
    made = sampler(path=name, prediction=prediction, mode="sde", steps=250, diffusion=diffusion)
    found = made.sample(SeededNoise(range(8)), torch.zeros(8, dtype=torch.long))
    # Standard errors over 2,048 cells: 0.011 of the mean, 0.008 of the deviation; the last step adds no noise.
    assert float(found.mean()) == pytest.approx(MEAN, abs=0.045)
    assert float(found.std()) == pytest.approx(math.sqrt(VARIANCE), abs=0.045)
