"""SiD's one evaluation of EDM's denoiser."""

import torch

from genbench.methods.edm.network import EDMDenoiser
from genbench.methods.noise import SeededNoise
from genbench.methods.sid.sampler import SiDSampler
from genbench.methods.sid.settings import SiDSettings
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


def sampler(**settings):
    with torch.device("meta"):
        module = EDMDenoiser(**NETWORK)
    return SiDSampler(
        network=NETWORK, settings=SiDSettings(**settings), state=random_state(module), device=torch.device("cpu")
    )


def test_an_image_is_the_denoised_noise_of_one_level():
    made = sampler(sigma=1.5)
    found = made.sample(SeededNoise([3, 4]), torch.tensor([2, 0]))
    noise = SeededNoise([3, 4]).normal((3, 8, 8)) * 1.5
    labels = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    with torch.inference_mode():
        assert torch.equal(found, made.network(noise, torch.full((2,), 1.5), labels))
    assert (found.dtype, made.nfe) == (torch.float32, 1)


def test_image_i_is_the_same_at_batch_1_and_3():
    made = sampler()
    whole = made.sample(SeededNoise(range(3)), torch.arange(3))
    for i in range(3):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([i]))[0], whole[i], atol=1e-5)
    assert not torch.allclose(whole[0], sampler(sigma=2.0).sample(SeededNoise([0]), torch.tensor([0]))[0], atol=1e-3)
