"""One interface for every autoencoder: encode, decode, the size of a code and the use of a codebook."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from genbench.errors import UsageError
from genbench.methods.latents.autoencoder import Autoencoder
from genbench.methods.latents.settings import AutoencoderNetwork
from genbench.methods.latents.tokenizer import CodebookUsage, Encoded, bits, compression_ratio, reconstruct
from genbench.methods.noise import RecordedNoise
from genbench.methods.var.quantiser import MultiScaleQuantiser, MultiScaleTokenizer, module
from genbench.methods.var.settings import MultiScaleNetwork
from genbench.validate import random_state

GOLDEN = Path(__file__).parents[1] / "golden"
CPU = torch.device("cpu")
UNUSED = RecordedNoise([])
"""Raises where anything is drawn."""


def images(n, side):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture(scope="module")
def multi_scale():
    network = MultiScaleNetwork(
        widths=(8, 8), groups=4, attention=(1,), codebook_size=16, code_channels=4, patch_nums=(1, 2, 4)
    )
    with torch.device("meta"):
        made = module(network)
    return MultiScaleTokenizer(network, random_state(made), CPU)


@pytest.fixture(scope="module")
def continuous():
    network = AutoencoderNetwork(widths=(24, 48), latent_channels=4, blocks=1, groups=8)
    return Autoencoder(network, load_file(GOLDEN / "sdvae" / "state.safetensors"), CPU)


def test_a_reconstruction_is_the_decoded_sum_of_the_drawn_codes(multi_scale):
    made = reconstruct(multi_scale, images(2, 8), UNUSED)
    assert (made.images.shape, made.code.latents.shape, made.code.indices.shape) == (
        (2, 3, 8, 8),
        (2, 4, 4, 4),
        (2, 21),
    )
    with torch.inference_mode():
        *_, total = multi_scale.quantiser.sums(made.code.indices)
    assert torch.allclose(total, made.code.latents, atol=1e-6)
    assert torch.equal(multi_scale.decode(made.code.latents), made.images)


def test_each_scale_codes_what_those_before_left(multi_scale):
    """The first scale's entry is the nearest to the mean of the features, the last's to the rest at every cell."""
    quantiser: MultiScaleQuantiser = multi_scale.quantiser
    with torch.inference_mode():
        features = multi_scale.module.features(images(2, 8))
        found = quantiser(features).indices
        nearest = torch.cdist(features.mean(dim=(2, 3)), quantiser.embedding.weight).argmin(dim=1)
        assert torch.equal(found[:, 0], nearest)
        before = list(quantiser.sums(found))[-2]
        rest = (features - before).flatten(2).transpose(1, 2)
        nearest = torch.cdist(rest, quantiser.embedding.weight).argmin(dim=2)
    assert torch.equal(found[:, 5:], nearest)


def test_entries_may_be_nearest_by_angle():
    made = MultiScaleQuantiser(codebook_size=2, channels=2, patch_nums=(1, 2), phis=2, phi_share=0.5, cosine=False)
    made.embedding.weight.data = torch.tensor([[9.0, 9.0], [0.0, 0.1]])
    feature = torch.tensor([1.0, 1.1]).view(1, 2, 1, 1)
    assert made.nearest(feature).tolist() == [[1]]
    made.cosine = True
    assert made.nearest(feature).tolist() == [[0]]


def test_continuous_latents_are_the_mean_and_have_no_indices(continuous):
    x = images(1, 16)
    made = reconstruct(continuous, x, UNUSED)
    mean, _ = continuous.posterior(x)
    assert torch.equal(made.code.latents, mean)
    assert made.code.indices is None
    assert continuous.codebook_size is None
    assert torch.equal(made.images, continuous.decode(mean))


def test_bits_by_hand(multi_scale, continuous):
    """21 tokens of 16 codes are 84 bits; 4 channels of 8 x 8 half-precision numbers are 4096."""
    discrete = reconstruct(multi_scale, images(1, 8), UNUSED)
    real = reconstruct(continuous, images(1, 16), UNUSED)
    assert bits(multi_scale, discrete.code) == 84
    assert compression_ratio(multi_scale, discrete) == 24 * 8 * 8 / 84
    assert bits(continuous, real.code) == 4 * 8 * 8 * 16
    assert compression_ratio(continuous, real) == 24 * 16 * 16 / 4096


def test_vars_code_at_256_px_is_680_tokens_of_12_bits():
    class Sizes:
        codebook_size = 4096

    code = Encoded(torch.zeros(1, 32, 16, 16), torch.zeros(1, sum(p * p for p in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16))))
    assert bits(Sizes(), code) == 680 * math.log2(4096) == 8160


def test_usage_adds_up_over_images(multi_scale):
    usage = CodebookUsage(multi_scale.codebook_size)
    assert usage.share == 0
    usage.add(Encoded(torch.empty(0), torch.tensor([[0, 1, 1]])))
    usage.add(Encoded(torch.empty(0), torch.tensor([[1, 7]])))
    assert usage.share == 3 / 16
    with pytest.raises(ValueError, match="no codebook"):
        usage.add(Encoded(torch.empty(0)))
    other = CodebookUsage(multi_scale.codebook_size)
    other.add(Encoded(torch.empty(0), torch.tensor([[15, 1]])))
    both = CodebookUsage.of_hex(multi_scale.codebook_size, [usage.to_hex(), other.to_hex()])
    assert both.share == 4 / 16


@pytest.mark.parametrize("side", [7, 16])
def test_images_of_another_size_are_refused(multi_scale, side):
    with pytest.raises(UsageError, match=f"images of {side} x {side} px: the autoencoder takes 8 px"):
        multi_scale.encode(images(1, side))
