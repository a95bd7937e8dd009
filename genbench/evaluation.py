"""What images are measured by: metrics and their feature spaces; and the way from images to features."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from genbench import console
from genbench.digest import digest
from genbench.engine.engines import Engine
from genbench.engine.inputs import StoredImages
from genbench.engine.job import PIXELS, PREVIEW, Images, Job
from genbench.engine.local import Local
from genbench.errors import UsageError
from genbench.features import spaces as feature_spaces
from genbench.features.extractor import load_extractors
from genbench.features.spaces import Space
from genbench.images.preflight import Report, ShardFacts, preflight
from genbench.images.sources import ImageSource
from genbench.metrics import catalog
from genbench.metrics.catalog import Metric, Need
from genbench.metrics.labels import Labels
from genbench.plan import Plan, make_plan
from genbench.precision import Precision
from genbench.shards import Shard, ShardCache, joined, space_folder, split


class Questions(NamedTuple):
    """What is asked of images: metrics, and the spaces that they need, by name."""

    metrics: tuple[Metric, ...]
    spaces: dict[str, Space]

    @property
    def compared(self) -> dict[str, Space]:
        """The spaces in which some metric needs a reference, which is exact whatever the precision of the images."""
        return self._exact({"moments", "packet moments", "features", "reference labels"})

    @property
    def held_out(self) -> dict[str, Space]:
        """The spaces in which some metric needs held-out real images, exact too."""
        return self._exact({"held-out moments", "held-out features"})

    @property
    def prompted(self) -> dict[str, Space]:
        """The spaces in which some metric compares images with their prompts."""
        asking = {space for metric in self.metrics if "prompts" in metric.statistic.needs for space in metric.spaces}
        return {name: space for name, space in self.spaces.items() if name in asking}

    def _exact(self, needs: set[Need]) -> dict[str, Space]:
        needed = {space for metric in self.metrics if metric.statistic.needs & needs for space in metric.spaces}
        return {name: space.at("exact") for name, space in self.spaces.items() if name in needed}

    @property
    def precision(self) -> Precision:
        """How features of the images are computed: fast if any space is."""
        return "fast" if any(space.precision == "fast" for space in self.spaces.values()) else "exact"


def parse_metrics(names: Sequence[str], precision: Precision = "exact", *, originals: bool = False) -> Questions:
    """Metrics by name, without repeats, in the order given; their spaces at that precision, those of pairs exact.

    Raises `UsageError` for an unknown metric or space, with the nearest names, and unless there are `originals` for a
    metric that compares images with the ones that they were made from.
    """
    metrics = tuple({metric.id: metric for metric in map(catalog.parse, names)}.values())
    if not metrics:
        raise UsageError("no metric is asked for", hint="for example --metrics fid,kid,precision,recall")
    names_of_spaces = dict.fromkeys(space for metric in metrics for space in metric.spaces)
    known = {name: feature_spaces.get(name) for name in names_of_spaces}
    spaces = {name: space if space.paired else space.at(precision) for name, space in known.items()}
    for metric in () if originals else metrics:
        if "originals" in metric.statistic.needs or any(spaces[name].paired for name in metric.spaces):
            raise UsageError(
                f"{metric.name} compares images with the originals that they were made from",
                hint=f"genbench score IMAGES --originals ORIGINALS --metrics {metric.name}",
            )
    return Questions(metrics, spaces)


@dataclass(frozen=True)
class Extraction:
    """The feature networks, loaded when the first image needs them."""

    spaces: Sequence[Space]
    _: KW_ONLY
    device: str
    cache: Path

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other processes, which may work in another folder: no networks."""
        return {"spaces": self.spaces, "device": self.device, "cache": self.cache.absolute()}

    def on(self, device: str) -> Extraction:
        """The same networks on another device, not loaded."""
        return Extraction(self.spaces, device=device, cache=self.cache)

    @cached_property
    def _extract(self) -> Callable[[Tensor], dict[str, Tensor]]:
        return load_extractors(self.spaces, device=self.device, cache=self.cache)

    def __call__(self, pixels: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => features by name of space."""
        return self._extract(pixels)


class Subject(NamedTuple):
    """One set of images to measure."""

    title: str
    """For people."""
    digest: str
    shards: Sequence[Shard]
    open: Callable[[], Images]
    """Called only if images are missing in the cache."""
    labels: Labels | None = None
    """The class of each image, where it is known."""
    folders: tuple[str, ...] | None = None
    """Class folder of each image, where there are such."""

    @property
    def n(self) -> int:
        """Images."""
        return sum(shard.size for shard in self.shards)

    def first(self, n: int) -> Subject:
        """The first `n` images of these as a set of their own; all of them if there are no more."""
        return self._replace(
            shards=split(self.shards[0].first, min(n, self.n)),
            labels=self.labels and self.labels.of(slice(n)),
            folders=self.folders and self.folders[:n],
        )


class Features(NamedTuple):
    """What was gathered of one subject."""

    by_space: dict[str, npt.NDArray[np.float32]]
    """(N, d) each."""
    report: Report
    """Preflight."""
    facts: list[dict[str, Any]]
    """What each shard took."""
    utilisation: float | None
    """Share of the time of the engine's workers in which they made or extracted; None where no shard was missing."""


def plan_subject(subject: Subject, spaces: Sequence[Space], cache: ShardCache, extra: Sequence[str] = ()) -> Plan:
    """What is missing of a subject in the cache; `extra` names pseudo-spaces (preview, pixels).

    A shard without its facts is missing: nothing would be known of the sizes of its images.
    """
    folders = _folders(spaces)

    def present(space: str, shard: Shard) -> bool:
        if space == PREVIEW and shard != subject.shards[0]:  # one preview a subject is enough
            return True
        return cache.read_facts(subject.digest, shard) is not None and cache.has(subject.digest, folders[space], shard)

    return make_plan(subject.shards, [*(space.name for space in spaces), *extra], present)


def gather(
    subject: Subject,
    plan: Plan,
    extraction: Extraction,
    cache: ShardCache,
    *,
    batch_size: int,
    engine: Engine | None = None,
) -> Features:
    """Make what the plan misses, in this process unless an engine is given; then read everything from the cache.

    Raises what reading images, sampling and extracting raise; finished shards are kept.
    """
    folders, engine = _folders(extraction.spaces), engine or Local()
    started = time.perf_counter()
    if plan.work:
        job = Job(subject.open, subject.digest, plan, folders, extraction, batch_size, extraction.device)
        cache.describe(subject.digest, subject.title)
        with console.progress(subject.title, plan.images, done=plan.images - plan.missing) as progress:
            engine.fill(job, cache, progress.advance)
    seconds = time.perf_counter() - started
    by_space = {
        space.name: joined(
            space.name, [cache.read(subject.digest, folders[space.name], shard) for shard in subject.shards]
        ).reshape(plan.images, -1)
        for space in extraction.spaces
    }
    facts = {shard: found for shard in subject.shards if (found := cache.read_facts(subject.digest, shard))}
    report = preflight([ShardFacts.from_json(f["preflight"]) for f in facts.values()], subject.folders)
    utilisation = _busy(plan, facts) / (seconds * engine.workers) if plan.work else None
    return Features(by_space, report, list(facts.values()), utilisation)


def _busy(plan: Plan, facts: Mapping[Shard, Mapping[str, Any]]) -> float:
    """Seconds that workers took to make images and to extract their features, all workers together."""
    made = [facts[work.shard] for work in plan.work if work.shard in facts]
    return sum(float(fact["making_seconds"] + fact["extracting_seconds"]) for fact in made)


DEVIATION_IMAGES = 256
"""First images of a subject whose features are taken both ways where they are fast, to tell what that moves."""


def gather_exact(
    subject: Subject, extraction: Extraction, cache: ShardCache, *, batch_size: int, engine: Engine | None = None
) -> dict[str, npt.NDArray[np.float32]] | None:
    """Exact features of the first 256 images (of all, if there are fewer) beside fast ones; None beside exact ones.

    The images are made or read a second time. Raises what `gather` raises.
    """
    if all(space.precision == "exact" for space in extraction.spaces):
        return None
    first = subject.first(DEVIATION_IMAGES)._replace(title=f"{subject.title}, exact features of the first")
    spaces = [space.at("exact") for space in extraction.spaces]
    exact = Extraction(spaces, device=extraction.device, cache=extraction.cache)
    plan = plan_subject(first, spaces, cache)
    return gather(first, plan, exact, cache, batch_size=batch_size, engine=engine).by_space


def pixels(subject: Subject, space: str, cache: ShardCache) -> npt.NDArray[np.uint8]:
    """The pixels kept in a pseudo-space, (N, 3, H, W) uint8."""
    shards = subject.shards[:1] if space == PREVIEW else subject.shards
    return joined(space, [cache.read(subject.digest, space, shard) for shard in shards])


def _folders(spaces: Sequence[Space]) -> dict[str, str]:
    return {s.name: space_folder(s.name, s.digest) for s in spaces} | {PREVIEW: PREVIEW, PIXELS: PIXELS}


def stored_images(source: ImageSource, n: int) -> Subject:
    """The first `n` images of a source of files, as something to measure."""
    return Subject(
        title=source.name,
        digest=digest({"files": source.digest}),
        shards=split(0, n),
        open=lambda: StoredImages(source),
        labels=Labels.of_folders(source.labels[:n]) if source.labels else None,
        folders=source.labels[:n] if source.labels else None,
    )
