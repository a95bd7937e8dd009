"""DiT's samplers against a network whose answer is known. tests/golden compares whole runs with the authors' code."""

import pytest
import torch

from genbench.errors import ConfigError, UsageError
from genbench.methods.ddpm import schedule
from genbench.methods.dit.network import DiT
from genbench.methods.dit.sampler import DiTSampler
from genbench.methods.dit.settings import DiTSettings
from genbench.methods.noise import RecordedNoise, SeededNoise

NETWORK = {
    "input_size": 8,
    "patch_size": 4,
    "in_channels": 4,
    "hidden_size": 32,
    "depth": 1,
    "num_heads": 2,
    "num_classes": 5,
}


def weights(**changes):
    """Random weights, larger than any initialisation, so that labels, times and guidance all show."""
    generator = torch.Generator().manual_seed(3)
    state = DiT(**{**NETWORK, **changes}).state_dict()
    for name, value in state.items():
        if name != "pos_embed":
            value.normal_(std=0.05 if value.ndim == 1 else 0.5 * value[0].numel() ** -0.5, generator=generator)
    return state


STATE = weights()


def sampler(**settings):
    return DiTSampler(network=NETWORK, settings=DiTSettings(**settings), state=STATE, device=torch.device("cpu"))


class Oracle:
    """Knows the one datum of each label, so its noise estimate is exact; asks for the smaller variance (v = -1)."""

    def __init__(self, steps, data):
        table = schedule(steps, "even")
        self.cumulative = dict(zip(table.timestep_map.tolist(), table.alphas_cumprod.tolist(), strict=True))
        self.data, self.calls = data, []

    def __call__(self, x, t, y):
        assert len(set(t.tolist())) == 1
        self.calls.append((int(t[0]), len(x)))
        cumulative = self.cumulative[int(t[0])]
        epsilon = (x - cumulative**0.5 * self.data[y]) / (1 - cumulative) ** 0.5
        return torch.cat([epsilon, -torch.ones_like(epsilon)], dim=1)


@pytest.mark.parametrize("mode", ["ddpm", "ddim"])
def test_with_exact_estimates_the_datum_is_reached_from_every_noise(mode):
    data = torch.linspace(-0.9, 0.9, 6 * 4 * 64).view(6, 4, 8, 8)
    made = sampler(mode=mode, steps=20, cfg=1.0)
    made.evaluate = oracle = Oracle(20, data)
    found = made.sample(SeededNoise([1, 2]), torch.tensor([0, 3]))
    assert torch.allclose(found, data[[0, 3]], atol=1e-5)
    assert [t for t, _ in oracle.calls] == schedule(20, "even").timestep_map.flip(0).tolist()
    assert made.nfe == 20


def test_ddim_with_eta_one_has_the_variance_of_the_posterior():
    """Song et al. (arXiv:2010.02502), section 4.1: σ at η = 1 is √β̃."""
    made, table = sampler(mode="ddim", steps=10, eta=1.0), schedule(10, "even")
    x = torch.zeros(1, 4, 8, 8)
    for i in range(1, 10):
        _, sigma = made._ddim(x, torch.cat([x, x], dim=1), i)
        assert sigma == pytest.approx(float((table.posterior_log_variance_clipped[i] / 2).exp()), rel=1e-6)
    assert made._ddim(x, torch.cat([x, x], dim=1), 0)[1] is None


@pytest.mark.parametrize(("v", "name"), [(-1.0, "posterior"), (1.0, "beta")])
def test_the_ends_of_the_learned_variance_are_the_posteriors_and_beta(v, name):
    made, table = sampler(steps=10), schedule(10, "even")
    x = torch.zeros(1, 4, 8, 8)
    _, spread = made._ddpm(x, torch.cat([x, torch.full_like(x, v)], dim=1), 6)
    variance = {"posterior": table.posterior_log_variance_clipped[6].exp(), "beta": table.betas[6]}[name]
    assert torch.allclose(spread.double() ** 2, variance.expand(1, 4, 8, 8), rtol=1e-5)


@pytest.mark.parametrize(("channels", "guided"), [(3, 3), (None, 4), (7, 4)])
def test_guidance_acts_on_the_noise_of_the_first_channels_only(channels, guided):
    made = sampler(steps=2, cfg=3.0, cfg_channels=channels)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    t, y = torch.tensor([500, 500]), torch.tensor([1, 2])
    conditional, null = (made.network(x, t, label) for label in (y, torch.tensor([5, 5])))
    found = made._guided(x, t, y)
    assert torch.allclose(found[:, :guided], (null + 3 * (conditional - null))[:, :guided], atol=1e-5)
    assert torch.allclose(found[:, guided:], conditional[:, guided:], atol=1e-5)


@pytest.mark.parametrize(
    "settings", [{}, {"mode": "ddim"}, {"mode": "ddim", "eta": 0.7, "clip": True}], ids=["ddpm", "ddim", "ddim-eta"]
)
def test_image_i_is_the_same_at_batch_1_and_5(settings):
    made = sampler(steps=6, cfg=2.0, **settings)
    whole = made.sample(SeededNoise(range(5)), torch.arange(5))
    assert (whole.shape, whole.dtype) == ((5, 4, 8, 8), torch.float32)
    assert bool(whole.isfinite().all())
    for i in range(5):
        alone = made.sample(SeededNoise([i]), torch.tensor([i]))
        assert torch.allclose(alone[0], whole[i], atol=1e-5 * float(whole.abs().max()))
    assert not torch.allclose(whole[0], whole[1])


@pytest.mark.parametrize(("settings", "draws"), [({}, 6), ({"mode": "ddim"}, 1), ({"mode": "ddim", "eta": 0.5}, 6)])
def test_noise_is_drawn_only_where_it_counts(settings, draws):
    """The start, and every step but the last unless DDIM is deterministic."""
    noise = RecordedNoise([torch.zeros(1, 4, 8, 8)] * draws)
    sampler(steps=6, **settings).sample(noise, torch.tensor([0]))
    assert noise.left == 0


def test_clipping_bounds_the_estimate_of_the_data():
    x = torch.full((1, 4, 8, 8), 5.0)
    assert float(sampler(steps=2, clip=True)._data(x, -x, 1).abs().max()) == 1
    assert float(sampler(steps=2)._data(x, -x, 1).abs().min()) > 1


def test_weights_without_a_variance_cannot_be_sampled_by_ddpm():
    network = {**NETWORK, "learn_sigma": False}
    state, device = weights(learn_sigma=False), torch.device("cpu")
    with pytest.raises(ConfigError, match="learned no variance"):
        DiTSampler(network=network, settings=DiTSettings(), state=state, device=device)
    made = DiTSampler(network=network, settings=DiTSettings(mode="ddim", steps=2), state=state, device=device)
    assert made.sample(SeededNoise([0]), torch.tensor([0])).shape == (1, 4, 8, 8)


def test_a_label_outside_the_classes_is_refused():
    with pytest.raises(UsageError, match="classes 0 to 4"):
        sampler(steps=2).sample(SeededNoise([0]), torch.tensor([5]))
