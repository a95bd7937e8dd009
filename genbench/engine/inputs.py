"""What shards are made of: a sampler with its seeds and labels, or images that exist already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genbench.cards import QuantiseRule
from genbench.engine.memory import Halving
from genbench.errors import UsageError
from genbench.images.batch import ImageBatch, ImageFacts
from genbench.images.quantise import to_uint8
from genbench.images.sources import ImageSource
from genbench.methods.catalog import Sampler
from genbench.methods.efficiency import Efficiency
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
        efficiency: Efficiency | None = None,
    ) -> None:
        self._sampler = sampler
        self._first_seed = first_seed
        self._labels = labels
        self._quantise = quantise
        self._resolution = resolution
        self._device = device
        self._efficiency = efficiency
        self._halving = Halving(self._sample, "sampling")

    @property
    def costs(self) -> dict[str, float | None]:
        """Network evaluations an image of the latest batch (``nfe``), ``parameters`` of the sampler, and what was
        counted of its arithmetic (see `genbench.methods.efficiency.Efficiency`)."""
        counted = self._efficiency._asdict() if self._efficiency else {}
        return {"nfe": self._sampler.nfe, "parameters": self._sampler.parameters, **counted}

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images of seeds `first` to ``first + count - 1``, sampled in batches of `size`, or as many as memory holds.

        Raises `UsageError` when the sampler makes images of another size than its card says, `ImageError` for NaN in
        one, and `RunFailedError` when memory does not hold one image.
        """
        for start in range(first, first + count, size):
            seeds = range(start, min(start + size, first + count))
            pixels = torch.cat(self._halving(seeds))
            side = self._resolution
            yield ImageBatch(pixels, tuple(ImageFacts(f"seed {s}", "sampler", "RGB", side, side) for s in seeds))

    def _sample(self, seeds: range) -> Tensor:
        """Pixels of neighbouring seeds, uint8 (N, 3, H, W)."""
        labels = torch.from_numpy(self._labels[seeds.start - self._first_seed : seeds.stop - self._first_seed].copy())
        floats = self._sampler.sample(SeededNoise(seeds, self._device), labels.to(self._device))
        wanted = (len(seeds), 3, self._resolution, self._resolution)
        if tuple(floats.shape) != wanted:
            raise UsageError(
                f"the sampler gave {tuple(floats.shape)}, not {wanted}",
                hint="check the card's resolution and the sampler class",
            )
        return to_uint8(floats, self._quantise)


class StoredImages:
    """Images that exist already, as something to make shards of."""

    costs: Mapping[str, float | None] = MappingProxyType({})
    """None that are known."""

    def __init__(self, source: ImageSource) -> None:
        self.batches = source.batches
