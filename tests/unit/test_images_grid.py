import numpy as np
import pytest
import torch
from PIL import Image

from genbench.errors import StoreError
from genbench.images.grid import grid, tiles, write_png


def test_tiles_lie_row_by_row_with_gaps_and_scaled_pixels():
    images = np.stack([np.full((3, 4, 5), value, np.uint8) for value in (10, 20, 30)])
    picture = np.asarray(grid(images, columns=2, scale=3, gap=2))
    assert picture.shape == (2 + 2 * (12 + 2), 2 + 2 * (15 + 2), 3)
    assert (picture[2:14, 2:17] == 10).all()
    assert (picture[2:14, 19:34] == 20).all()
    assert (picture[16:28, 2:17] == 30).all()
    assert (picture[16:28, 19:34] == 255).all()  # no fourth image
    assert (picture[:2] == 255).all()
    assert (picture[14:16] == 255).all()


def test_channels_keep_their_order():
    red = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    red[:, 0] = 200
    assert grid(red, gap=0).getpixel((1, 1)) == (200, 0, 0)


def test_columns_are_about_the_square_root():
    assert grid(np.zeros((10, 3, 1, 1), np.uint8), gap=0).size == (4, 3)


@pytest.mark.parametrize(
    ("images", "options"),
    [
        (np.zeros((0, 3, 2, 2), np.uint8), {}),
        (np.zeros((1, 2, 2, 3), np.uint8), {}),
        (np.zeros((1, 3, 2, 2), np.float32), {}),
        (np.zeros((1, 3, 2, 2), np.uint8), {"columns": 0}),
        (np.zeros((1, 3, 2, 2), np.uint8), {"scale": 0}),
    ],
)
def test_what_cannot_be_drawn_is_refused(images, options):
    with pytest.raises(ValueError, match=r"expected|cannot draw"):
        grid(images, **options)


def test_png_is_written_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "grid.png"
    path.write_bytes(b"older")
    write_png(grid(np.full((1, 3, 4, 4), 7, np.uint8), gap=0), path)
    with Image.open(path) as image:
        assert image.getpixel((3, 3)) == (7, 7, 7)
    assert [p.name for p in tmp_path.iterdir()] == ["grid.png"]


def test_a_place_that_cannot_be_written_is_an_error_with_a_hint(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"grid\.png: cannot be written") as caught:
        write_png(Image.new("RGB", (1, 1)), tmp_path / "file" / "grid.png")
    assert "is a folder" in caught.value.hint


def test_a_picture_that_cannot_be_saved_leaves_the_older_one(tmp_path):
    path = tmp_path / "grid.png"
    path.write_bytes(b"older")
    with pytest.raises(StoreError):
        write_png(Image.new("HSV", (1, 1)), path)  # PNG has no such mode
    assert path.read_bytes() == b"older"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("n", "columns", "gap"), [(5, 3, 2), (1, 1, 0), (6, 2, 1)])
def test_tiles_are_what_the_grid_was_drawn_of(n, columns, gap):
    images = np.random.default_rng(0).integers(0, 256, (n, 3, 4, 4), np.uint8)
    cut = tiles(grid(images, columns=columns, scale=2, gap=gap), n, columns, gap)
    assert all(np.array_equal(np.asarray(tile)[::2, ::2].transpose(2, 0, 1), images[i]) for i, tile in enumerate(cut))
    assert all(np.array_equal(tile, np.asarray(tile)[::2, ::2].repeat(2, 0).repeat(2, 1)) for tile in cut)


@pytest.mark.parametrize(("n", "columns"), [(7, 3), (4, 4), (1, 1000)])
def test_a_picture_of_another_layout_is_not_cut(n, columns):
    picture = grid(np.zeros((6, 3, 4, 4), np.uint8), columns=3)
    with pytest.raises(ValueError, match="does not show"):
        tiles(picture, n, columns)
