"""Images against the originals that they were made from: what is read from pairs, shard by shard, kept in the cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genbench import console
from genbench.digest import digest
from genbench.errors import FeatureError, UsageError
from genbench.features.pairs import PairExtractors, load_pair_extractors
from genbench.features.space import Space
from genbench.images.batch import ImageBatch
from genbench.images.pairing import check_names
from genbench.images.sources import ImageSource
from genbench.shards import Shard, ShardCache, space_folder, split


class Reconstructions:
    """The first `n` images of one source, each with its original: the image at the same place in another source.

    Where both sides are files, each must be called as its original, but for the suffix. Raises `UsageError` if the two
    sources have different numbers of images.
    """

    def __init__(self, images: ImageSource, originals: ImageSource, n: int) -> None:
        if len(images) != len(originals):
            raise UsageError(
                f"{images.name}: {len(images)} images for the {len(originals)} originals in {originals.name}",
                hint="give one original for each image, in the same order or under the same names",
            )
        self._images, self._originals, self._n = images, originals, n

    @cached_property
    def digest(self) -> str:
        """Identity of the pairs: of both sides' content."""
        return digest({"files": self._images.digest, "originals": self._originals.digest})

    def compare(
        self, spaces: Sequence[Space], cache: ShardCache, *, device: str, weights: Path, batch_size: int
    ) -> dict[str, npt.NDArray[np.float32]]:
        """What paired spaces read, (n, 1) each by name, of all pairs; pairs that the cache has are not read again.

        `weights` is the folder where weights are kept. Two batches of images are held at a time. Raises `UsageError`
        for files that are called otherwise than their originals, `FeatureError` for another size than the original's,
        and what reading images and locating weights raise.
        """
        shards = split(0, self._n)
        folders = {space.name: space_folder(space.name, space.digest) for space in spaces}
        missing = {
            shard: wanted
            for shard in shards
            if (wanted := [space for space in spaces if not cache.has(self.digest, folders[space.name], shard)])
        }
        if missing:
            self._fill(missing, spaces, folders, cache, device=device, weights=weights, batch_size=batch_size)
        found = {
            name: np.concatenate([cache.read(self.digest, folder, shard) for shard in shards])
            for name, folder in folders.items()
        }
        for name, values in found.items():
            if np.isinf(values).any():  # PSNR is 10 log10(255² / 0)
                raise FeatureError(
                    f"{name}: {np.isinf(values).sum()} of {self._n} images equal their originals, and have no finite "
                    "value",
                    hint="check that these are reconstructions and not the originals, or leave this metric out",
                )
        return found

    def _fill(
        self,
        missing: dict[Shard, list[Space]],
        spaces: Sequence[Space],
        folders: dict[str, str],
        cache: ShardCache,
        *,
        device: str,
        weights: Path,
        batch_size: int,
    ) -> None:
        needed = {space.name for wanted in missing.values() for space in wanted}
        extract = load_pair_extractors([s for s in spaces if s.name in needed], device=device, cache=weights)
        title = f"{self._images.name} and originals"
        cache.describe(self.digest, title)
        left = sum(shard.size for shard in missing)
        with console.progress(title, self._n, done=self._n - left) as progress:
            for shard in missing:
                for name, values in self._shard(shard, extract, batch_size, progress.advance).items():
                    cache.write(self.digest, folders[name], shard, values)

    def _shard(
        self, shard: Shard, extract: PairExtractors, batch_size: int, advance: Callable[[int], None]
    ) -> dict[str, npt.NDArray[np.float32]]:
        parts: list[dict[str, Tensor]] = []
        sides = (side.batches(shard.first, shard.size, batch_size) for side in (self._images, self._originals))
        for ours, theirs in zip(*sides, strict=True):
            # Batches end where the size of images changes, so sides of different sizes come in batches of their own.
            names, others = ([fact.name for fact in side.facts] for side in (ours, theirs))
            if ours.pixels.shape != theirs.pixels.shape:
                raise _sizes_differ(ours, theirs)
            check_names(names, others, where=self._originals.name, what="original")
            parts.append(extract(ours.pixels, theirs.pixels))
            advance(len(ours.pixels))
        return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def _sizes_differ(ours: ImageBatch, theirs: ImageBatch) -> FeatureError:
    """For two batches that start with one pair: a batch ends before an image of another size."""
    alike = ours.pixels.shape[2:] == theirs.pixels.shape[2:]
    shorter, longer = sorted((ours.facts, theirs.facts), key=len)
    name = longer[len(shorter) if alike else 0].name
    return FeatureError(
        f"{name}: an image and its original are of different sizes",
        hint="bring both to one size by a rule that you state",
    )
