"""The sampler of rectified flows on EDM's networks."""

import pytest
import torch

from genbench.errors import ConfigError
from genbench.methods.edm.network import EDMDenoiser
from genbench.methods.noise import SeededNoise
from genbench.methods.rectified_flow.sampler import RectifiedFlowSampler
from genbench.methods.rectified_flow.settings import RectifiedFlowSettings
from genbench.schema import check
from genbench.validate import random_state

NETWORK = {
    "model_type": "DhariwalUNet",
    "img_resolution": 8,
    "img_channels": 3,
    "label_dim": 3,
    "model_channels": 8,
    "channel_mult": (1, 2),
    "num_blocks": 1,
    "attn_resolutions": (4,),
}
WAYS = [
    {"steps": 1},
    {"steps": 4},
    {"steps": 5, "update": "new"},
    {"steps": 5, "solver": "heun"},
    {"steps": 5, "solver": "heun", "update": "new"},
    {"steps": 1, "solver": "heun"},
]


def sampler(**settings):
    with torch.device("meta"):
        module = EDMDenoiser(**NETWORK)
    return RectifiedFlowSampler(
        network=NETWORK,
        settings=RectifiedFlowSettings(**settings),
        state=random_state(module),
        device=torch.device("cpu"),
    )


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_paths_to_one_image_are_straight(settings):
    """Data that is one image c: D = c, and x_t = (1 - t)·c + t·noise, whatever the solver; c is where it ends."""
    made = sampler(**settings)
    start = SeededNoise([7]).normal((3, 8, 8))
    seen = []

    def constant(x, sigma, labels):
        t = float(sigma[0] / (1 + sigma[0]))
        assert torch.allclose((1 - t) * x, (1 - t) * 0.25 + t * start, atol=1e-3)
        seen.append(t)
        return torch.full_like(x, 0.25)

    made.evaluate = constant
    found = made.sample(SeededNoise([7]), torch.tensor([1]))
    assert torch.allclose(found, torch.tensor(0.25), atol=1e-5)
    assert len(seen) == made.nfe == settings["steps"]
    assert seen[0] == pytest.approx(1 - 1e-5, abs=1e-7)


def test_where_the_solvers_evaluate():
    times = {}
    for solver in ("euler", "heun"):
        made = sampler(steps=5, solver=solver)
        seen = times[solver] = []

        def record(x, sigma, labels, seen=seen):
            seen.append(round(float(sigma[0] / (1 + sigma[0])), 4))
            return x * 0

        made.evaluate = record
        made.sample(SeededNoise([0]), torch.tensor([0]))
    assert times["euler"] == [1.0, 0.8, 0.6, 0.4, 0.2]
    assert times["heun"] == [1.0, 0.6667, 0.6667, 0.3333, 0.3333]


def test_heun_is_of_second_order_and_euler_of_first():
    """Of data from N(0, 1/4) the flow takes noise z to z/2: x_t has variance (1 - t)²/4 + t²."""

    def error(**settings):
        made = sampler(**settings)
        made.evaluate = lambda x, sigma, labels: x / (1 + 4 * sigma.view(-1, 1, 1, 1) ** 2)
        found = made.sample(SeededNoise([3]), torch.tensor([0]))
        return float((found - SeededNoise([3]).normal((3, 8, 8)) / 2).abs().max())

    assert 1.7 < error(steps=64) / error(steps=128) < 2.3
    assert 3 < error(steps=63, solver="heun") / error(steps=127, solver="heun") < 5


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_image_i_is_the_same_at_batch_1_and_3(settings):
    made = sampler(**settings)
    whole = made.sample(SeededNoise(range(3)), torch.arange(3))
    assert (whole.shape, whole.dtype) == ((3, 3, 8, 8), torch.float32)
    for i in range(3):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([i]))[0], whole[i], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 4, "solver": "heun"}, "odd number of evaluations, not 4"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        check(RectifiedFlowSettings, settings, "card")
