"""The two resizing rules, against arithmetic by hand, Pillow and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from genbench.features.resize import (
    bicubic_antialiased,
    bilinear,
    bilinear_antialiased,
    tf1_bilinear,
)

RULES = [tf1_bilinear, bilinear, bilinear_antialiased, bicubic_antialiased]


def noise(height: int, width: int) -> torch.Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255


def test_tf1_reads_at_multiples_of_the_ratio_and_clamps_at_the_end():
    # 2 => 4: sources 0, 0.5, 1, 1.5; the last lies beyond the last pixel and takes it.
    row = tf1_bilinear(torch.tensor([[[[10.0, 20.0]]]]), 4)[0, 0]
    assert torch.equal(row, torch.tensor([10.0, 15.0, 20.0, 20.0]).expand(4, 4))


def test_tf1_skips_pixels_when_shrinking():
    # 6 => 2: sources 0 and 3, and nothing of their neighbours: no antialiasing.
    picture = noise(6, 6)
    assert torch.equal(tf1_bilinear(picture, 2), picture[..., ::3, ::3])


@pytest.mark.parametrize("resize", RULES)
def test_the_same_size_is_left_alone(resize):
    picture = noise(299, 299)
    assert (resize(picture, 299) - picture).abs().max() < 1e-4


@pytest.mark.parametrize("resize", RULES)
@pytest.mark.parametrize("source", [1, 7, 32, 333, 1024])
def test_a_flat_picture_stays_flat(resize, source):
    assert (resize(torch.full((1, 1, source, source), 77.0), 299) - 77).abs().max() < 1e-4


def test_rows_and_columns_are_not_swapped():
    picture = torch.rand(1, 3, 20, 40)
    for resize in (tf1_bilinear, bicubic_antialiased):
        tall = resize(picture.mT, 30)
        assert torch.allclose(resize(picture, 30), tall.mT, atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (300, 451), (224, 100), (17, 640)])
def test_bicubic_is_pillows(height, width):
    picture = torch.randint(0, 256, (height, width), generator=torch.Generator().manual_seed(0)).float()
    theirs = Image.fromarray(picture.numpy()).resize((224, 224), Image.Resampling.BICUBIC)
    ours = bicubic_antialiased(picture[None, None], 224)[0, 0]
    # Pillow rounds after each of its two passes in float32.
    assert np.abs(ours.numpy() - np.asarray(theirs)).max() < 2e-4


def test_bicubic_is_torchs_antialiased():
    picture = torch.rand(1, 3, 96, 500, generator=torch.Generator().manual_seed(0)) * 255
    theirs = functional.interpolate(picture, (224, 224), mode="bicubic", antialias=True)
    # Of 255 grey levels; torch computes its weights in float32.
    assert (bicubic_antialiased(picture, 224) - theirs).abs().max() < 1e-2


@pytest.mark.parametrize(("height", "width"), [(32, 32), (300, 451), (299, 100), (1, 640)])
@pytest.mark.parametrize(("resize", "antialias"), [(bilinear, False), (bilinear_antialiased, True)])
def test_bilinear_is_torchs(resize, antialias, height, width):
    picture = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255
    theirs = functional.interpolate(picture, (299, 299), mode="bilinear", antialias=antialias)
    # Of 255 grey levels, on noise; the antialiased weights are float64 here and float32 in torch.
    assert (resize(picture, 299) - theirs).abs().max() < 1e-2


def test_the_two_bilinear_rules_differ_only_when_shrinking():
    small, large = noise(64, 64), noise(640, 640)
    # Of 255 grey levels; the antialiased weights are float64, the positions of the other float32.
    assert (bilinear(small, 299) - bilinear_antialiased(small, 299)).abs().max() < 1e-2
    assert (bilinear(large, 299) - bilinear_antialiased(large, 299)).abs().max() > 10
