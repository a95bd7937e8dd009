"""Pillow's crops and resizes of uint8 batches, against arithmetic by hand and Pillow itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from genbench.features.pillow import adm_centre_crop, centre_square, squash


def pictures(height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8, generator=generator)


def test_squash_is_pillows_whole_picture():
    images = pictures(40, 70)
    with Image.fromarray(images[1].permute(1, 2, 0).numpy()) as picture:
        expected = np.asarray(picture.resize((24, 24), Image.Resampling.BICUBIC))
    assert np.array_equal(squash(images, 24)[1].permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize(("height", "width"), [(20, 33), (33, 20)])
def test_the_centre_square_leaves_out_the_ends_of_the_longer_side(height, width):
    images = pictures(height, width)
    # (33 - 20) // 2 = 6 rows or columns are left out in front.
    expected = images[:, :, :, 6:26] if width > height else images[:, :, 6:26]
    assert torch.equal(centre_square(images, 20), expected)


def test_adms_crop_halves_by_averages_and_cuts_the_centre():
    # 64x100 with side 16: 64 => 32 => 16 by boxes, 100 => 50 => 25; then columns 4 to 20.
    blocks = pictures(16, 25)
    images = blocks.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert torch.equal(adm_centre_crop(images, 16), blocks[..., 4:20])


def test_adms_crop_leaves_its_own_size_alone_and_enlarges_what_is_small():
    images = pictures(16, 16)
    assert adm_centre_crop(images, 16) is images
    assert adm_centre_crop(images[..., :12], 16).shape == (2, 3, 16, 16)
