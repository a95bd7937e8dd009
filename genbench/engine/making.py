"""Shards made in this process: images in, features out, one pass over the images for all spaces."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genbench.engine.job import PIXELS, PREVIEW, PREVIEW_IMAGES, Images, Job, Made
from genbench.engine.memory import Halving
from genbench.errors import FeatureError, GenbenchError
from genbench.images.preflight import Collector
from genbench.plan import Work
from genbench.shards import joined


class Maker:
    """Makes the shards of one job; its images are opened for the first one."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._extract = Halving(job.extract, "feature extraction")

    @cached_property
    def _images(self) -> Images:
        return self.job.open()

    def make(self, work: Work, advance: Callable[[int], None]) -> Made:
        """One shard in the spaces that it is missing in; `advance` hears of finished images.

        Raises `FeatureError` when a network gives NaN or infinity, and what reading images and sampling raise.
        """
        shard, device = work.shard, self.job.device
        parts: dict[str, list[npt.NDArray[Any]]] = {space: [] for space in work.spaces}
        collector = Collector()
        if device.startswith("cuda"):
            torch.cuda.reset_peak_memory_stats(device)
        making = extracting = 0.0
        seen = 0
        batches = collector.watch(self._images.batches(shard.first, shard.size, self.job.batch_size))
        while True:
            started = time.perf_counter()
            batch = next(batches, None)
            making += time.perf_counter() - started
            if batch is None:
                break
            started = time.perf_counter()
            for space, values in self._features(work, batch.pixels, seen).items():
                parts[space].append(values)
            seen += len(batch.pixels)
            extracting += time.perf_counter() - started
            advance(len(batch.pixels))
        facts = {
            "making_seconds": making,
            "extracting_seconds": extracting,
            "worker": f"{platform.node()}:{os.getpid()}",
            "device": device,
            "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None,
            "costs": dict(self._images.costs),
            "preflight": collector.facts().to_json(),
        }
        return Made({space: _joined(space, values, shard.first) for space, values in parts.items()}, facts)

    def _features(self, work: Work, pixels: Tensor, seen: int) -> dict[str, npt.NDArray[Any]]:
        """The arrays of one batch, `seen` images of the shard having come before it."""
        values: dict[str, npt.NDArray[Any]] = {}
        if PREVIEW in work.spaces and seen < PREVIEW_IMAGES:
            values[PREVIEW] = pixels[: PREVIEW_IMAGES - seen].cpu().numpy()
        if PIXELS in work.spaces:
            values[PIXELS] = pixels.cpu().numpy()
        spaces = [space for space in work.spaces if space not in (PREVIEW, PIXELS)]
        if spaces:
            parts = self._extract(pixels.to(self.job.device))
            values |= {space: torch.cat([part[space] for part in parts]).float().cpu().numpy() for space in spaces}
        return values


class Worker:
    """Makes shards of jobs that another process planned; what it loaded stays until another job comes."""

    def __init__(self, device: Callable[[str], str]) -> None:
        self._device = device
        self._number: int | None = None
        self._maker: Maker | None = None

    def make(self, number: int, job: Job, work: Work) -> Made | GenbenchError:
        """One shard of the job of that number, as that process hands it out; or why there is none."""
        try:
            return self._ready(number, job).make(work, lambda images: None)
        except GenbenchError as error:
            return error

    def _ready(self, number: int, job: Job) -> Maker:
        if self._maker is None or number != self._number:
            job = job.here(self._device(job.device))
            if self._maker is not None and self._maker.job.extract == job.extract:
                job = job._replace(extract=self._maker.job.extract)
            self._maker, self._number = Maker(job), number
        return self._maker


def _joined(space: str, parts: list[npt.NDArray[Any]], first: int) -> npt.NDArray[Any]:
    array = joined(space, parts)
    if space not in (PREVIEW, PIXELS) and not np.isfinite(array).all():
        bad = first + int(np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))[0])
        raise FeatureError(
            f"{space}: features of image {bad} are NaN or infinite",
            hint="look at that image; nothing of this shard was kept",
        )
    return array
