"""Haar packets against Haar steps by hand, and against what an orthonormal transform must keep."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from genbench.errors import FeatureError
from genbench.features.extractor import load_extractors
from genbench.features.haar import haar_packets
from genbench.features.spaces import get


def pictures(n: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=generator)


def haar_step(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    even, odd = x.unflatten(axis, (-1, 2)).unbind(axis + 1)
    return (even + odd) / 2**0.5, (even - odd) / 2**0.5


def packets_by_steps(images: Tensor) -> list[Tensor]:
    """Four times, every band into its four halves: the definition of a packet transform."""
    bands = [images]
    for _ in range(4):
        halves = [half for band in bands for half in haar_step(band, 2)]
        bands = [half for band in halves for half in haar_step(band, 3)]
    return [band.flatten(1) for band in bands]


def test_packets_are_four_levels_of_haar_steps():
    images = pictures(2, 32, 48).double()
    # Bands come in another order than Walsh functions: they are the same set.
    steps = torch.stack(packets_by_steps(images), 1)
    found = haar_packets(images)
    assert found.shape == steps.shape == (2, 256, 3 * 2 * 3)
    distance = torch.cdist(found[0], steps[0])
    order = distance.argmin(1)
    assert sorted(order.tolist()) == list(range(256))
    assert (found - steps[:, order]).abs().max() < 1e-9


def test_the_first_packet_is_the_mean_of_a_tile():
    images = pictures(1, 16, 32).double()
    found = haar_packets(images)[0, 0]
    expected = images.unflatten(3, (2, 16)).mean((2, 4))[0].flatten() * 16
    assert torch.allclose(found, expected)


def test_the_space_keeps_energy_and_needs_no_file(tmp_path: Path):
    images = pictures(3, 32, 32)
    features = load_extractors([get("pixels/haar4")], cache=tmp_path, offline=True)(images)["pixels/haar4"]
    assert features.shape == (3, 256, 12)
    assert features.dtype == torch.float32
    energy = images.double().div(255).square().sum((1, 2, 3))
    assert torch.allclose(features.double().square().sum((1, 2)), energy, rtol=1e-6)


def test_other_sides_than_multiples_of_16_are_refused():
    with pytest.raises(FeatureError, match="images of 32x40"):
        haar_packets(pictures(1, 32, 40).double())
