"""Stored images brought to the number and the one square size of a protocol, by the rule of ImageNet models."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from genbench.digest import digest
from genbench.errors import UsageError
from genbench.images.batch import ImageBatch
from genbench.images.encoded import check_range
from genbench.images.sources import ImageSource


def adm_crop(pixels: Tensor, side: int) -> Tensor:
    """One image as ADM prepares it (guided-diffusion, ``image_datasets.py``, ``center_crop_arr``).

    Halved by averaging while the shorter side is at least twice `side`, resized by Pillow's bicubic filter until it is
    `side`, and cropped at the centre: uint8 (3, H, W) => (3, side, side).
    """
    image = Image.fromarray(pixels.permute(1, 2, 0).numpy())
    while min(image.size) >= 2 * side:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = side / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    cropped = np.array(image)[top : top + side, left : left + side]
    return torch.from_numpy(cropped).permute(2, 0, 1).contiguous()


class Prepared:
    """`ImageSource` of the first `n` of another source's images of one side, by `adm_crop` if they are to be cropped.

    Raises `UsageError` when there are fewer.
    """

    def __init__(self, source: ImageSource, n: int, side: int, *, crop: bool) -> None:
        if len(source) < n:
            raise UsageError(
                f"{source.name}: {len(source)} images of the {n} that are asked for",
                hint=f"name a folder that has them, or add --limit {len(source)}",
            )
        self._source, self._n, self._side, self._crop = source, n, side, crop
        self.name, self.names = source.name, source.names[:n]
        self.labels = source.labels[:n] if source.labels else None

    def __len__(self) -> int:
        return self._n

    @cached_property
    def digest(self) -> str:
        """Of the content, of how many of it, and of the crop."""
        crop = "adm" if self._crop else None
        return digest({"source": self._source.digest, "n": self._n, "side": self._side, "crop": crop})

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images first..first+count-1 in order, in batches of at most `size`.

        Raises what the source does, and `UsageError` for an image of another size that is not to be cropped.
        """
        check_range(first, count, size, self._n)
        batches = self._source.batches(first, count, size)
        yield from _cropped(batches, self._side, size) if self._crop else map(self._checked, batches)

    def _checked(self, batch: ImageBatch) -> ImageBatch:
        height, width = batch.pixels.shape[2:]
        if (height, width) != (self._side, self._side):
            raise UsageError(
                f"{self.name}: {batch.facts[0].name} is {width}x{height}, not {self._side}x{self._side}",
                hint='bring the images to that size, or say crop = "adm" in a suite of your own',
            )
        return batch


def _cropped(batches: Iterator[ImageBatch], side: int, size: int) -> Iterator[ImageBatch]:
    images = ((adm_crop(p, side), f) for batch in batches for p, f in zip(batch.pixels, batch.facts, strict=True))
    while group := list(islice(images, size)):
        pixels, facts = zip(*group, strict=True)
        yield ImageBatch(torch.stack(pixels), facts)
