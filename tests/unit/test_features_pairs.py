"""PSNR, SSIM and LPIPS of an image and its original. scikit-image is the peer of the first two."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from genbench.errors import FeatureError
from genbench.features.pairs import BLOCK, PairExtractors, psnr, ssim


def pictures(*noise: float) -> tuple[Tensor, Tensor]:
    """Crops of photographs with so much noise, and without: uint8 (N, 3, 48, 61)."""
    rng = np.random.default_rng(0)
    clean = np.stack([data.astronaut()[k * 20 : k * 20 + 48, 100:161] for k in range(len(noise))])
    grainy = clean + rng.standard_normal(clean.shape) * np.array(noise)[:, None, None, None]
    return tuple(torch.from_numpy(x.clip(0, 255).astype(np.uint8).transpose(0, 3, 1, 2)) for x in (grainy, clean))


def test_psnr_is_scikit_images():
    images, originals = pictures(3, 20, 80)
    expected = [
        peak_signal_noise_ratio(b.numpy(), a.numpy(), data_range=255) for a, b in zip(images, originals, strict=True)
    ]
    assert psnr(images, originals).numpy() == pytest.approx(expected, rel=1e-12)


def test_psnr_of_one_level_everywhere_is_known():
    originals = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    # An error of 1 in 255 everywhere: 20 log10(255).
    assert psnr(originals + 1, originals).tolist() == pytest.approx([48.1308036086791] * 2)
    assert psnr(originals, originals).isinf().all()


def test_ssim_is_scikit_images_with_the_window_of_wang_et_al():
    images, originals = pictures(0, 3, 20, 80)
    expected = [
        structural_similarity(
            a.numpy(),
            b.numpy(),
            channel_axis=0,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for a, b in zip(images, originals, strict=True)
    ]
    found = ssim(images, originals).numpy()
    assert found == pytest.approx(expected, abs=1e-12)
    assert found[0] == pytest.approx(1, abs=1e-12)
    assert (np.diff(found) < 0).all(), "more noise is less alike"


def test_ssim_of_flat_images_is_the_luminance_term():
    images, originals = (torch.full((1, 3, 11, 11), level, dtype=torch.uint8) for level in (100, 120))
    # (2·100·120 + 6.5025) / (100² + 120² + 6.5025), contrast and structure being 1.
    assert ssim(images, originals).item() == pytest.approx(24006.5025 / 24406.5025)


def test_ssim_needs_a_window():
    small = torch.zeros(1, 3, 10, 30, dtype=torch.uint8)
    with pytest.raises(FeatureError, match="at least 11, not 10x30"):
        ssim(small, small)


def test_pairs_are_compared_in_blocks_and_pairs_of_two_sizes_refused():
    images, originals = pictures(*np.linspace(0.5, 60, BLOCK + 3))
    extract = PairExtractors({"pixels/psnr": psnr, "pixels/ssim": ssim}, "cpu")
    found = extract(images, originals)
    assert {name: (values.shape, values.dtype) for name, values in found.items()} == dict.fromkeys(
        ("pixels/psnr", "pixels/ssim"), ((BLOCK + 3, 1), torch.float32)
    )
    assert torch.equal(found["pixels/ssim"][:, 0], ssim(images, originals).float())
    with pytest.raises(FeatureError, match="are compared with originals of"):
        extract(images, originals[:2])
