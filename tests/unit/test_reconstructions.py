"""Images and their originals, paired by place and name, compared once and kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genbench.errors import FeatureError, UsageError
from genbench.features.pairs import psnr, ssim
from genbench.features.spaces import get
from genbench.images.sources import open_source
from genbench.reconstructions import Reconstructions
from genbench.shards import ShardCache

SPACES = [get("pixels/psnr"), get("pixels/ssim")]
RNG = np.random.default_rng(0)
ORIGINALS = RNG.integers(0, 256, (7, 16, 20, 3), dtype=np.uint8)
IMAGES = (ORIGINALS + RNG.integers(0, 20, ORIGINALS.shape)).clip(0, 255).astype(np.uint8)


def folder(path: Path, images: np.ndarray, *names: str) -> Path:
    path.mkdir()
    for name, image in zip(names or map("{:02}.png".format, range(len(images))), images, strict=True):
        Image.fromarray(image).save(path / name)
    return path


def npz(path: Path, images: np.ndarray) -> Path:
    np.savez(path, images)
    return path


def compare(images: Path, originals: Path, cache: Path) -> dict[str, np.ndarray]:
    sources = [open_source(path) for path in (images, originals)]
    pairs = Reconstructions(*sources, len(sources[0]))
    return pairs.compare(SPACES, ShardCache(cache), device="cpu", weights=cache, batch_size=3)


def tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def test_each_image_is_compared_with_the_original_at_its_place(tmp_path):
    found = compare(folder(tmp_path / "a", IMAGES), npz(tmp_path / "b.npz", ORIGINALS), tmp_path / "cache")
    for name, peer in (("pixels/psnr", psnr), ("pixels/ssim", ssim)):
        assert found[name].shape == (7, 1)
        assert found[name][:, 0] == pytest.approx(peer(tensor(IMAGES), tensor(ORIGINALS)).numpy(), rel=1e-6)


def test_pairs_are_kept_and_other_originals_are_other_pairs(tmp_path):
    images, cache = folder(tmp_path / "a", IMAGES), tmp_path / "cache"
    originals = npz(tmp_path / "b.npz", ORIGINALS)
    first = compare(images, originals, cache)
    shards = {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")}
    assert len(shards) == 2
    assert np.array_equal(compare(images, originals, cache)["pixels/psnr"], first["pixels/psnr"])
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.npy")} == shards
    others = compare(images, npz(tmp_path / "c.npz", np.roll(ORIGINALS, 1, axis=0)), cache)
    assert others["pixels/psnr"].max() < first["pixels/psnr"].min(), "other originals are farther"
    assert len(list(cache.rglob("*.npy"))) == 4


def test_names_must_agree_but_for_the_suffix(tmp_path):
    originals = folder(tmp_path / "b", ORIGINALS[:2], "cat.png", "dog.png")
    compare(folder(tmp_path / "a", IMAGES[:2], "cat.bmp", "dog.bmp"), originals, tmp_path / "cache")
    with pytest.raises(UsageError, match=r"original dog.png stands where image eel.png has its own"):
        compare(folder(tmp_path / "c", IMAGES[:2], "cat.png", "eel.png"), originals, tmp_path / "cache")


def test_counts_must_agree(tmp_path):
    with pytest.raises(UsageError, match="6 images for the 7 originals"):
        compare(npz(tmp_path / "a.npz", IMAGES[:6]), npz(tmp_path / "b.npz", ORIGINALS), tmp_path / "cache")


def test_an_image_of_another_size_than_its_original_is_named(tmp_path):
    images = folder(tmp_path / "a", IMAGES)
    Image.fromarray(IMAGES[4, :, :16]).save(images / "04.png")
    with pytest.raises(FeatureError, match=r"04.png: an image and its original are of different sizes"):
        compare(images, folder(tmp_path / "b", ORIGINALS), tmp_path / "cache")


def test_originals_as_reconstructions_have_no_finite_psnr(tmp_path):
    images = IMAGES.copy()
    images[:2] = ORIGINALS[:2]
    with pytest.raises(FeatureError, match=r"pixels/psnr: 2 of 7 images equal their originals"):
        compare(npz(tmp_path / "a.npz", images), npz(tmp_path / "b.npz", ORIGINALS), tmp_path / "cache")
