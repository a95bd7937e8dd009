"""Shards executed in this process: images in, features out, one pass over the images for all spaces."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genbench.engine.memory import Halving
from genbench.errors import FeatureError
from genbench.images.batch import ImageBatch
from genbench.images.preflight import Collector
from genbench.plan import Plan, Work
from genbench.shards import ShardCache, joined

PREVIEW = "preview"
"""Pseudo-space: the first images of a shard as pixels, (N, 3, H, W) uint8."""
PREVIEW_IMAGES = 64
PIXELS = "pixels"
"""Pseudo-space: all images of a shard as pixels, (N, 3, H, W) uint8; they must be of one size."""

Extract = Callable[[Tensor], dict[str, Tensor]]


class Images(Protocol):
    """What shards are made of: a source of files, or a sampler."""

    @property
    def costs(self) -> Mapping[str, float | None]:
        """What is known of the latest batch beside its pixels: ``nfe`` and ``parameters`` of a sampler."""
        ...

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images `first` to ``first + count - 1`` in order, in batches of at most `size`, each of one image size."""
        ...


class Job(NamedTuple):
    """One set of images to turn into shards."""

    images: Images
    digest: str
    """Of the images: where their shards lie."""
    plan: Plan
    folders: Mapping[str, str]
    """Folder in the cache of each space by name."""
    extract: Extract
    """uint8 (N, 3, H, W) => features by name of space."""
    batch_size: int
    device: str


def fill(job: Job, cache: ShardCache, advance: Callable[[int], None]) -> None:
    """Make every shard of the plan; `advance` hears of finished images.

    A shard is written when all its images are done; what was written stays when a later one fails.
    Raises `FeatureError` when a network gives NaN or infinity.
    """
    extract = Halving(job.extract, "feature extraction")
    for work in job.plan.work:
        _fill_shard(job, extract, work, cache, advance)


def _fill_shard(
    job: Job,
    extract: Halving[dict[str, Tensor]],
    work: Work,
    cache: ShardCache,
    advance: Callable[[int], None],
) -> None:
    shard = work.shard
    parts: dict[str, list[npt.NDArray[Any]]] = {space: [] for space in work.spaces}
    collector = Collector()
    if job.device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(job.device)
    making = extracting = 0.0
    seen = 0
    batches = collector.watch(job.images.batches(shard.first, shard.size, job.batch_size))
    while True:
        started = time.perf_counter()
        batch = next(batches, None)
        making += time.perf_counter() - started
        if batch is None:
            break
        started = time.perf_counter()
        for space, values in _features(extract, job.device, work, batch.pixels, seen).items():
            parts[space].append(values)
        seen += len(batch.pixels)
        extracting += time.perf_counter() - started
        advance(len(batch.pixels))
    arrays = {space: _joined(space, values, shard.first) for space, values in parts.items()}
    cache.write_facts(
        job.digest,
        shard,
        {
            "making_seconds": making,
            "extracting_seconds": extracting,
            "device": job.device,
            "peak_memory_bytes": (
                torch.cuda.max_memory_allocated(job.device) if job.device.startswith("cuda") else None
            ),
            "costs": dict(job.images.costs),
            "preflight": collector.facts().to_json(),
        },
    )
    for space, array in arrays.items():
        cache.write(job.digest, job.folders[space], shard, array)


def _features(
    extract: Halving[dict[str, Tensor]], device: str, work: Work, pixels: Tensor, seen: int
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of one batch, `seen` images of the shard having come before it."""
    values: dict[str, npt.NDArray[Any]] = {}
    if PREVIEW in work.spaces and seen < PREVIEW_IMAGES:
        values[PREVIEW] = pixels[: PREVIEW_IMAGES - seen].cpu().numpy()
    if PIXELS in work.spaces:
        values[PIXELS] = pixels.cpu().numpy()
    spaces = [space for space in work.spaces if space not in (PREVIEW, PIXELS)]
    if spaces:
        parts = extract(pixels.to(device))
        values |= {space: torch.cat([part[space] for part in parts]).float().cpu().numpy() for space in spaces}
    return values


def _joined(space: str, parts: list[npt.NDArray[Any]], first: int) -> npt.NDArray[Any]:
    array = joined(space, parts)
    if space not in (PREVIEW, PIXELS) and not np.isfinite(array).all():
        bad = first + int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[0])
        raise FeatureError(
            f"{space}: features of image {bad} are NaN or infinite",
            hint="look at that image; nothing of this shard was kept",
        )
    return array
