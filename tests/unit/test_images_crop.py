"""ADM's preparation of an image, step by step with Pillow, and sources that are cropped."""

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.errors import UsageError
from genbench.images.crop import Prepared, adm_crop
from genbench.images.sources import open_source


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tensor(array):
    return torch.from_numpy(array).permute(2, 0, 1)


def test_an_image_of_the_size_is_left_alone():
    array = picture(16, 16)
    assert torch.equal(adm_crop(tensor(array), 16), tensor(array))


def test_a_wide_image_is_cropped_at_its_centre():
    array = picture(16, 21)
    assert torch.equal(adm_crop(tensor(array), 16), tensor(array[:, 2:18]))


def test_a_large_image_is_halved_then_resized_then_cropped():
    array = picture(70, 100)
    halved = Image.fromarray(array).resize((50, 35), Image.Resampling.BOX)
    quartered = halved.resize((25, 17), Image.Resampling.BOX)
    resized = quartered.resize((round(25 * 16 / 17), 16), Image.Resampling.BICUBIC)
    left = (resized.width - 16) // 2
    assert torch.equal(adm_crop(tensor(array), 16), tensor(np.array(resized)[:, left : left + 16]))


@pytest.fixture
def folder(tmp_path):
    for index, (height, width) in enumerate([(16, 16), (20, 16), (40, 33), (16, 30), (18, 18)]):
        Image.fromarray(picture(height, width, index)).save(tmp_path / f"{index}.png")
    return tmp_path


def test_cropped_images_come_in_full_batches_of_one_size(folder):
    source = Prepared(open_source(folder), 5, 16, crop=True)
    batches = list(source.batches(1, 4, 3))
    assert [tuple(batch.pixels.shape) for batch in batches] == [(3, 3, 16, 16), (1, 3, 16, 16)]
    assert [fact.name for batch in batches for fact in batch.facts] == ["1.png", "2.png", "3.png", "4.png"]
    assert torch.equal(batches[0].pixels[1], adm_crop(tensor(picture(40, 33, 2)), 16))


def test_the_identity_covers_number_side_and_crop(folder):
    source = open_source(folder)
    made = [Prepared(source, 5, 16, crop=True), Prepared(source, 4, 16, crop=True), Prepared(source, 5, 8, crop=True)]
    assert len({*(p.digest for p in made), Prepared(source, 5, 16, crop=False).digest, source.digest}) == 5


def test_other_sizes_and_too_few_images_are_refused(folder):
    source = open_source(folder)
    with pytest.raises(UsageError, match=r"1\.png is 16x20, not 16x16"):
        list(Prepared(source, 5, 16, crop=False).batches(0, 5, 2))
    with pytest.raises(UsageError, match="5 images of the 6"):
        Prepared(source, 6, 16, crop=True)
