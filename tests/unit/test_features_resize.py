"""The two resizing rules, against arithmetic by hand, Pillow and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from genbench.features.resize import (
    bicubic_antialiased,
    bicubic_antialiased_matrix,
    bilinear,
    bilinear_antialiased,
    bilinear_antialiased_matrix,
    bilinear_matrix,
    tf1_bilinear,
    tf1_bilinear_matrix,
)

MATRICES = [tf1_bilinear_matrix, bilinear_matrix, bilinear_antialiased_matrix, bicubic_antialiased_matrix]


def test_tf1_reads_at_multiples_of_the_ratio_and_clamps_at_the_end():
    # 2 => 4: sources 0, 0.5, 1, 1.5; the last lies beyond the last pixel and takes it.
    expected = torch.tensor([[1, 0], [0.5, 0.5], [0, 1], [0, 1]])
    assert torch.equal(tf1_bilinear_matrix(2, 4), expected)


def test_tf1_skips_pixels_when_shrinking():
    # 6 => 2: sources 0 and 3, and nothing of their neighbours: no antialiasing.
    expected = torch.zeros(2, 6)
    expected[0, 0] = expected[1, 3] = 1
    assert torch.equal(tf1_bilinear_matrix(6, 2), expected)


@pytest.mark.parametrize("matrix", MATRICES)
def test_the_same_size_is_left_alone(matrix):
    assert torch.equal(matrix(299, 299), torch.eye(299))


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("source", [1, 7, 32, 333, 1024])
def test_a_flat_picture_stays_flat(matrix, source):
    assert matrix(source, 299).sum(1).sub(1).abs().max() < 1e-6


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
    assert torch.allclose(bilinear_matrix(64, 299), bilinear_antialiased_matrix(64, 299), atol=1e-5)
    assert (bilinear_matrix(640, 299) - bilinear_antialiased_matrix(640, 299)).abs().max() > 0.1
