"""What an engine carries out: the shards that are missing of one set of images, and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy.typing as npt
from torch import Tensor

from genbench.errors import UsageError
from genbench.images.batch import ImageBatch
from genbench.plan import Plan
from genbench.shards import Shard, ShardCache

PREVIEW = "preview"
"""Pseudo-space: the first images of a shard as pixels, (N, 3, H, W) uint8."""
PREVIEW_IMAGES = 64
PIXELS = "pixels"
"""Pseudo-space: all images of a shard as pixels, (N, 3, H, W) uint8; they must be of one size."""


class Images(Protocol):
    """What shards are made of: a source of files, or a sampler."""

    @property
    def costs(self) -> Mapping[str, float | None]:
        """What is known of the latest batch beside its pixels: ``nfe`` and ``parameters`` of a sampler."""
        ...

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images `first` to ``first + count - 1`` in order, in batches of at most `size`, each of one image size."""
        ...


@runtime_checkable
class Movable(Protocol):
    """Opens the same images in any process, as a `genbench.engine.recipe.Recipe` does."""

    def __call__(self) -> Images:
        """Open them here."""
        ...

    def here(self, device: str) -> Movable:
        """The same for this process, after another one made it. Raises what finding files here raises."""
        ...


class Extract(Protocol):
    """Feature networks, loaded when the first image needs them; they go to other processes without."""

    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => features by name of space."""
        ...

    def on(self, device: str) -> Extract:
        """The same networks on another device, not loaded."""
        ...


class Made(NamedTuple):
    """One shard."""

    arrays: dict[str, npt.NDArray[Any]]
    """By space."""
    facts: dict[str, Any]
    """What making it took, and what its images look like."""


class Job(NamedTuple):
    """One set of images to turn into shards."""

    open: Callable[[], Images]
    """Called before the first image is made: by this process alone, unless it is `Movable`."""
    digest: str
    """Of the images: where their shards lie."""
    plan: Plan
    folders: Mapping[str, str]
    """Folder in the cache of each space by name."""
    extract: Extract
    batch_size: int
    device: str

    def here(self, device: str) -> Job:
        """The same for this process, after another one planned it: with the files and the device that there are here.

        Raises `UsageError` for images that are files, and what `Movable.here` raises.
        """
        if not isinstance(self.open, Movable):
            raise UsageError("images that are files are read by one process", hint="leave --engine out")
        return self._replace(open=self.open.here(device), extract=self.extract.on(device), device=device)

    def keep(self, shard: Shard, made: Made, cache: ShardCache) -> None:
        """Write one shard. Raises `StoreError` when the cache cannot be written."""
        cache.write_facts(self.digest, shard, made.facts | {"passes": self._passes(shard, made, cache)})
        for space, array in made.arrays.items():
            cache.write(self.digest, self.folders[space], shard, array)

    def _passes(self, shard: Shard, made: Made, cache: ShardCache) -> dict[str, float]:
        """Seconds of extraction by the spaces of a pass: a shard may be completed in other spaces later."""
        earlier = (cache.read_facts(self.digest, shard) or {}).get("passes", {})
        kept = {names: seconds for names, seconds in earlier.items() if not made.arrays.keys() & names.split()}
        return {**kept, " ".join(sorted(made.arrays)): made.facts["extracting_seconds"]}
