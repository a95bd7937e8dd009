"""Published statistics that say another number of images than they are of."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from genbench import published_statistics
from genbench.errors import FeatureError
from genbench.metrics.frechet import frechet_distance_of_moments
from genbench.metrics.moments import Moments

WIDTH = 2048


@functools.cache
def of_forty_images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    draws = rng.standard_normal((40, WIDTH)) * np.arange(1, WIDTH + 1) ** -0.5 + 1
    return draws.mean(axis=0), np.cov(draws, rowvar=False)


def saved(folder: Path, dtype: type) -> Path:
    mean, cov = of_forty_images()
    np.savez(folder / "stats.npz", mu=mean.astype(dtype), sigma=cov.astype(dtype))
    return folder / "stats.npz"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [2, 39])
def test_fewer_images_than_a_covariance_is_of_are_refused(tmp_path: Path, dtype: type, n: int) -> None:
    message = f"sigma is of rank 39, and a covariance of {n} images is of rank {n - 1} at most"
    with pytest.raises(FeatureError, match=message):
        published_statistics.read(saved(tmp_path, dtype), "edm", n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_many_images_or_more_are_taken(tmp_path: Path, dtype: type) -> None:
    path, of_images = saved(tmp_path, dtype), Moments(40, of_forty_images()[0], of_forty_images()[1] * 39)
    for n in (40, 2048, 50_000):
        (read,) = published_statistics.read(path, "edm", n).moments.values()
        assert read.n == n
    (read,) = published_statistics.read(path, "edm", 40).moments.values()
    assert frechet_distance_of_moments(read, of_images) < 1e-6 * np.trace(read.cov)


def test_a_covariance_of_nothing_is_of_any_number_of_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "stats.npz", mu=np.zeros(WIDTH), sigma=np.zeros((WIDTH, WIDTH)))
    (read,) = published_statistics.read(tmp_path / "stats.npz", "edm", 2).moments.values()
    assert not read.cov.any()
