"""Every random draw of a sampler: one generator an image, so that image *i* is the same in any batch.

A sampler receives a `Noise` and draws nothing from anywhere else. `RecordedNoise` has the same interface and replays
recorded draws, which is how samplers are checked against reference vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """Source of randomness for a batch of N images. Shapes exclude the batch dimension."""

    def __len__(self) -> int:
        """N, the number of images."""
        ...

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal float32, (N, *shape)."""
        ...

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform on [0, 1), float32, (N, *shape)."""
        ...

    def categorical(self, probabilities: Tensor) -> Tensor:
        """Indices (N, ...) drawn from `probabilities` (N, ..., K), which need not sum to one; int64."""
        ...

    def generators(self) -> list[torch.Generator]:
        """The N generators themselves, for a library that draws for each image on its own."""
        ...


_SMALLEST_UNIFORM = 2.0**-25
"""In place of a uniform draw of 0, which has no logarithm: half of the next larger one."""


def gumbel(noise: Noise, shape: Sequence[int]) -> Tensor:
    """Standard Gumbel float64, (N, *shape): -log(-log1p(-u)) of one uniform draw u each."""
    uniform = noise.uniform(shape).double().clamp_min(_SMALLEST_UNIFORM)
    return -(-torch.log1p(-uniform)).log()


class SeededNoise:
    """Draws of image *i* come from a CPU generator seeded with ``seeds[i]`` alone.

    The generators stay on the CPU so that an image is the same on every device; results are moved to `device`.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        self._device = torch.device(device)

    def __len__(self) -> int:
        return len(self._generators)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal float32, (N, *shape)."""
        out = torch.empty((len(self), *shape))
        for row, generator in zip(out, self._generators, strict=True):
            row.normal_(generator=generator)
        return out.to(self._device)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform on [0, 1), float32, (N, *shape)."""
        out = torch.empty((len(self), *shape))
        for row, generator in zip(out, self._generators, strict=True):
            row.uniform_(generator=generator)
        return out.to(self._device)

    def categorical(self, probabilities: Tensor) -> Tensor:
        """Indices (N, ...) by inversion of the cumulative sum: one uniform a draw; int64."""
        threshold = self.uniform(probabilities.shape[1:-1]).to(probabilities.device)
        cumulative = probabilities.double().cumsum(-1)
        index = torch.searchsorted(cumulative, (threshold.double() * cumulative[..., -1]).unsqueeze(-1), right=True)
        return index.squeeze(-1).clamp_(max=probabilities.shape[-1] - 1)

    def generators(self) -> list[torch.Generator]:
        """The N generators, on the CPU."""
        return self._generators


class RecordedNoise:
    """Replays recorded draws in order, whatever their kind.

    Raises `ValueError` when a draw has another shape than the one recorded, or when none is left.
    """

    def __init__(self, draws: Sequence[Tensor]) -> None:
        self._draws = list(draws)
        self._next = 0

    def __len__(self) -> int:
        return len(self._draws[0])

    @property
    def left(self) -> int:
        """How many recorded draws have not been replayed yet."""
        return len(self._draws) - self._next

    def _replay(self, shape: Sequence[int]) -> Tensor:
        if not self.left:
            raise ValueError(f"draw {self._next + 1} was never recorded")
        draw = self._draws[self._next]
        if tuple(draw.shape[1:]) != tuple(shape):
            raise ValueError(f"draw {self._next + 1} has shape {tuple(draw.shape[1:])}, not {tuple(shape)}")
        self._next += 1
        return draw

    def normal(self, shape: Sequence[int]) -> Tensor:
        """The next recorded draw, (N, *shape)."""
        return self._replay(shape)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """The next recorded draw, (N, *shape)."""
        return self._replay(shape)

    def categorical(self, probabilities: Tensor) -> Tensor:
        """The next recorded draw, (N, ...)."""
        return self._replay(probabilities.shape[1:-1])

    def generators(self) -> list[torch.Generator]:
        """None: recorded draws come from nowhere else."""
        raise ValueError("recorded draws have no generators")
