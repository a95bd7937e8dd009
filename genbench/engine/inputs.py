"""What shards are made of: a sampler with its seeds and labels, or images that exist already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch

from genbench.cards import QuantiseRule
from genbench.errors import UsageError
from genbench.images.batch import ImageBatch, ImageFacts
from genbench.images.quantise import to_uint8
from genbench.images.sources import ImageSource
from genbench.methods.families import Sampler
from genbench.methods.noise import SeededNoise


class SampledImages:
    """Image at seed s is sampled from noise of seed s and its label; `labels` belong to consecutive seeds."""

    def __init__(
        self,
        sampler: Sampler,
        *,
        first_seed: int,
        labels: npt.NDArray[np.int64],
        quantise: QuantiseRule,
        resolution: int,
        device: str,
    ) -> None:
        self._sampler = sampler
        self._first_seed = first_seed
        self._labels = labels
        self._quantise = quantise
        self._resolution = resolution
        self._device = device

    @property
    def costs(self) -> dict[str, float | None]:
        """Network evaluations an image of the latest batch (``nfe``), and ``parameters`` of the sampler."""
        return {"nfe": self._sampler.nfe, "parameters": self._sampler.parameters}

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images of seeds `first` to ``first + count - 1``, sampled in batches of `size`.

        Raises `UsageError` when the sampler makes images of another size than its card says, and `ImageError` for
        NaN in one.
        """
        for start in range(first, first + count, size):
            seeds = range(start, min(start + size, first + count))
            labels = torch.from_numpy(self._labels[seeds.start - self._first_seed : seeds.stop - self._first_seed])
            floats = self._sampler.sample(SeededNoise(seeds, self._device), labels.to(self._device))
            side = self._resolution
            if tuple(floats.shape) != (len(seeds), 3, side, side):
                raise UsageError(
                    f"the sampler gave {tuple(floats.shape)}, not {(len(seeds), 3, side, side)}",
                    hint="check the card's resolution and the sampler class",
                )
            pixels = to_uint8(floats, self._quantise)
            yield ImageBatch(pixels, tuple(ImageFacts(f"seed {s}", "sampler", "RGB", side, side) for s in seeds))


class StoredImages:
    """Images that exist already, as something to make shards of."""

    costs: Mapping[str, float | None] = MappingProxyType({})
    """None that are known."""

    def __init__(self, source: ImageSource) -> None:
        self.batches = source.batches
