"""ECT's sampler on its own. tests/golden compares whole runs with the authors' code."""

import pytest
import torch

from genbench.errors import ConfigError
from genbench.methods.ect.network import ECTDenoiser
from genbench.methods.ect.sampler import ECTSampler
from genbench.methods.ect.settings import ECTSettings
from genbench.methods.noise import SeededNoise
from genbench.schema import check
from genbench.validate import random_state

NETWORK = {
    "model_type": "SongUNet",
    "img_resolution": 8,
    "img_channels": 3,
    "model_channels": 8,
    "channel_mult": (1, 2),
    "num_blocks": 1,
    "attn_resolutions": (4,),
    "embedding_type": "positional",
    "channel_mult_noise": 1,
    "encoder_type": "standard",
    "resample_filter": (1, 1),
    "sigma_min": 0.01,
}


def sampler(**settings):
    with torch.device("meta"):
        module = ECTDenoiser(**NETWORK)
    return ECTSampler(
        network=NETWORK, settings=ECTSettings(**settings), state=random_state(module), device=torch.device("cpu")
    )


def test_the_denoiser_is_the_identity_at_sigma_min():
    network = sampler().network
    x = SeededNoise([0, 1]).normal((3, 8, 8))
    assert torch.allclose(network(x, torch.full((2,), 0.01)), x, atol=1e-7)
    assert not torch.allclose(network(x, torch.full((2,), 0.02)), x, atol=1e-3)


def test_noise_is_added_at_each_further_level_in_full():
    """A denoiser that returns its input shows what was added: 80·z, then 2·z, then 0.5·z, without a correction."""
    made = sampler(mid_t="2, 0.5")
    seen = []

    def keep(x, sigma, labels):
        seen.append(float(sigma[0]))
        assert (x.dtype, labels) == (torch.float64, None)
        return x

    made.evaluate = keep
    noise = SeededNoise([3])
    expected = sum(level * noise.normal((3, 8, 8)) for level in (80.0, 2.0, 0.5))
    assert torch.allclose(made.sample(SeededNoise([3]), torch.tensor([0])), expected, atol=1e-4)
    assert (seen, made.nfe) == ([80.0, 2.0, 0.5], 3)


@pytest.mark.parametrize("mid_t", [None, 0.821])
def test_image_i_is_the_same_at_batch_1_and_3(mid_t):
    made = sampler(mid_t=mid_t)
    whole = made.sample(SeededNoise(range(3)), torch.zeros(3, dtype=torch.int64))
    for i in range(3):
        alone = made.sample(SeededNoise([i]), torch.tensor([0]))
        assert torch.allclose(alone[0], whole[i], atol=1e-5)
    assert made.nfe == (1 if mid_t is None else 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [("0.8;0.3", "not numbers with commas"), ("0.3,0.8", "do not fall"), (80, "do not fall"), (0, "do not fall")],
)
def test_levels_that_cannot_be(given, message):
    with pytest.raises(ConfigError, match=message):
        check(ECTSettings, {"mid_t": given}, "card")
