"""Runs of a suite: plan, sample, extract, measure, record. The same command continues, however the last one ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genbench import console, provenance
from genbench.answers import Evidence, answers, numbered_labels
from genbench.digest import digest
from genbench.engine.engines import Engine
from genbench.engine.job import PIXELS, PREVIEW
from genbench.engine.local import Local
from genbench.engine.recipe import Recipe
from genbench.errors import GenbenchError, StoreError, UsageError
from genbench.evaluation import Extraction, Features, Subject, gather, gather_exact, pixels, plan_subject
from genbench.images.datasets import training_labels
from genbench.images.grid import grid, write_png
from genbench.methods.loading import WeightsOnDisk, find_weights, identity
from genbench.methods.runs import Run
from genbench.metrics.labels import Labels
from genbench.plan import Plan, labels
from genbench.prompts import Prompts, embedded_prompts
from genbench.protocol import Protocol, check_run
from genbench.records import (
    Costs,
    ImageFacts,
    Record,
    RunFacts,
    SuiteFacts,
    latest_record,
    new_id,
    write_record,
)
from genbench.shards import ShardCache, split


@dataclass(frozen=True)
class Settings:
    """How runs are carried out; nothing here changes a number."""

    results: Path
    cache: Path
    registry: Sequence[Path]
    device: str = "cpu"
    batch_size: int = 64
    limit: int | None = None
    """Measure only so many images a block; such a record carries its own n and enters no leaderboard."""
    blocks: Sequence[int] | None = None
    """Seed blocks to run; none for all."""
    shard_size: int | None = None
    """Images between two points from which an interrupted run continues; none for 1,000."""
    keep_images: Path | None = None
    """Folder to write every image to as PNG."""
    allow_pickle: bool = False
    """Let weight files run code while they are read."""


@dataclass
class Outcome:
    """What became of one block of one run."""

    name: str
    block: int
    record: Path | None = None
    """Where the record lies; none when the run failed."""
    fresh: bool = False
    """Whether this call made it."""
    error: GenbenchError | None = None


@dataclass
class Block:
    """One seed block of one run under a protocol: the unit that a record is of."""

    protocol: Protocol
    run: Run
    number: int
    weights: WeightsOnDisk | None
    settings: Settings
    cache: ShardCache = field(init=False)

    def __post_init__(self) -> None:
        self.cache = ShardCache(self.settings.cache)

    @property
    def title(self) -> str:
        """``variant@preset``, with the block where a suite has several."""
        blocks = self.protocol.suite.blocks
        return self.run.name + (f" block {self.number + 1}/{blocks}" if blocks > 1 else "")

    @cached_property
    def n(self) -> int:
        """Images to measure."""
        return min(self.protocol.suite.images, self.settings.limit or self.protocol.suite.images)

    @cached_property
    def run_digest(self) -> str:
        """Identity of everything that can change a pixel."""
        return identity(self.run, self.weights)

    @cached_property
    def _labels(self) -> npt.NDArray[np.int64]:
        suite, variant = self.protocol.suite, self.run.variant
        if variant.prompted:  # each image has a prompt of its own
            return np.arange(self.n)
        known = training_labels(suite.dataset)
        return labels(suite.labels, range(self.n), classes=variant.classes, training_labels=known)

    @cached_property
    def subject(self) -> Subject:
        """The block's images as something to measure. The digest covers the run and how seeds get their labels."""
        suite = self.protocol.suite
        identity = digest(
            {
                "run": self.run_digest,
                "labels": suite.labels,
                "classes": self.run.variant.classes,
                "dataset": suite.dataset,
                "position_of_seed_0": -suite.seeds(self.number).start,
                **self._prompted(),
            }
        )
        shards = split(suite.seeds(self.number).start, self.n, self.settings.shard_size)
        known = Labels(self._labels) if self.run.variant.classes else None
        return Subject(self.title, identity, shards, self._recipe(), known)

    def _prompted(self) -> dict[str, str]:
        """Prompts can change a pixel where images are made from them."""
        given = self.protocol.prompts
        return {"prompts": given.digest} if given and self.run.variant.prompted else {}

    @cached_property
    def prompts(self) -> Prompts | None:
        """What the images are made from, by their seeds or their classes; None where the suite has no prompts."""
        given = self.protocol.prompts
        if given is None:
            return None
        if self.run.variant.prompted:
            seeds = self.protocol.suite.seeds(self.number)[: self.n]  # files of images are called after them
            return given.of([f"{seed:010d}.png" for seed in seeds], more=True)
        return given.of((), numbered_labels(self.subject.labels, self.protocol.references.by_space))

    def _recipe(self) -> Recipe:
        settings, run = self.settings, self.run
        return Recipe(
            run=run,
            weights=self.weights,
            first_seed=self.protocol.suite.seeds(self.number).start,
            labels=self._labels,
            prompts=self.prompts.texts if run.variant.prompted and self.prompts else None,
            device=settings.device,
            cache=settings.cache,
            registry=settings.registry,
            allow_pickle=settings.allow_pickle,
        )

    @cached_property
    def plan(self) -> Plan:
        """What of this block is not in the cache."""
        extra = [PREVIEW] + ([PIXELS] if self.settings.keep_images else [])
        return plan_subject(self.subject, list(self.protocol.questions.spaces.values()), self.cache, extra)

    def finished(self) -> Path | None:
        """The record of a call that measured the same thing."""
        wanted = (self.protocol.digest, self.subject.digest, self.number, self.n)

        def same(record: Record) -> bool:
            suite = record.suite.digest if record.suite and record.run else None
            return (suite, record.images.digest, record.block, record.images.n) == wanted

        found = latest_record(self.settings.results / self.protocol.suite.id / self.run.name, same)
        return found[0] if found else None


def blocks(protocol: Protocol, runs: Sequence[Run], settings: Settings) -> list[Block]:
    """Every block of every run, weights located.

    Raises `UsageError` for a block the suite does not have, `FeatureError` for a run without what the suite measures,
    and `WeightsError` for weights that cannot be had.
    """
    numbers = range(protocol.suite.blocks) if settings.blocks is None else settings.blocks
    for number in numbers:
        if number not in range(protocol.suite.blocks):
            raise UsageError(
                f"suite {protocol.suite.id} has no block {number}",
                hint=f"its blocks are 0 to {protocol.suite.blocks - 1}",
            )
    found = []
    for run in runs:
        check_run(protocol, run.name, labelled=run.variant.classes > 0, prompted=run.variant.prompted)
        weights = find_weights(run, cache=settings.cache, registry=settings.registry)
        found += [Block(protocol, run, number, weights, settings) for number in numbers]
    return found


def describe_plan(work: Sequence[Block], to_measure: int, measured: int) -> str:
    """One line: what there is to do, beside the blocks that are measured already.

    `work` has more blocks than are to be measured where images are asked for of what is measured already.
    """
    images = sum(block.plan.images for block in work)
    missing = sum(block.plan.missing for block in work)
    parts = [f"{to_measure} to measure"] + ([f"{measured} already measured"] if measured else [])
    if work:
        protocol = work[0].protocol
        spaces = ", ".join(protocol.questions.spaces)
        parts.append(f"{missing} of {images} images to sample, features in {spaces}")
    return "plan: " + "; ".join(parts)


def execute(work: Sequence[Block], engine: Engine | None = None) -> Iterator[Outcome]:
    """Carry blocks out one by one, in this process unless an engine is given; one that fails does not stop the next.

    Yields an outcome a block, with the error that stopped it. Raises `StoreError` when cache or results cannot be
    written, as the next block's work would be lost too.
    """
    extraction: Extraction | None = None
    engine = engine or Local()
    for block in work:
        settings = block.settings
        if extraction is None:
            spaces = list(block.protocol.questions.spaces.values())
            extraction = Extraction(spaces, device=settings.device, cache=settings.cache)
        try:
            yield _carry_out(block, extraction, engine)
        except StoreError:
            raise
        except GenbenchError as error:
            yield Outcome(block.title, block.number, error=error)


def _carry_out(block: Block, extraction: Extraction, engine: Engine) -> Outcome:
    started = time.perf_counter()
    settings = block.settings
    console.note(f"{block.title}: {block.plan.missing} of {block.n} images to sample")
    features = gather(block.subject, block.plan, extraction, block.cache, batch_size=settings.batch_size, engine=engine)
    finished = block.finished()
    record = finished or _measure(block, features, extraction, engine, started)
    if settings.keep_images:
        _write_images(block, settings.keep_images)
    return Outcome(block.title, block.number, record, fresh=finished is None)


def _measure(block: Block, features: Features, extraction: Extraction, engine: Engine, started: float) -> Path:
    settings, protocol = block.settings, block.protocol
    for warning in features.report.warnings():
        console.warn(f"{block.title}: {warning}")
    evidence = _evidence(block, features, extraction, engine)
    found = answers(protocol.questions, block.subject, evidence, block.cache, say=console.note)
    created, name = new_id()
    suite = protocol.suite
    record = Record(
        id=name,
        created=created,
        kind="run",
        limited=block.n < suite.images,
        block=block.number,
        suite=SuiteFacts(id=suite.id, digest=protocol.digest),
        run=RunFacts(
            name=block.run.name,
            method=block.run.method,
            variant=block.run.variant_name,
            preset=block.run.preset,
            digest=block.run_digest,
            given=dict(block.run.given),
            settings=dict(block.run.settings),
            weights_sha256=block.weights.sha256 if block.weights else None,
        ),
        images=ImageFacts(
            source="sampler",
            digest=block.subject.digest,
            n=block.n,
            first_seed=suite.seeds(block.number).start,
            labels=suite.labels,
            warnings=tuple(features.report.warnings()),
        ),
        reference=protocol.references.facts,
        held_out=protocol.held_out.facts if protocol.held_out else None,
        precision=protocol.questions.precision,
        spaces={space.name: space.digest for space in extraction.spaces},
        prompts=block.prompts.facts if block.prompts else None,
        **found._asdict(),
        costs=_costs(block, features, time.perf_counter() - started),
        provenance=provenance.collect(settings.device, engine.name),
    )
    # The record goes last: once it is there, nothing of this block is done again.
    preview = settings.results / record.folder / f"{record.id}.png"
    write_png(grid(pixels(block.subject, PREVIEW, block.cache), columns=8, scale=_scale(suite.resolution)), preview)
    path = write_record(record, settings.results)
    console.note(f"  record  {path}\n  preview {preview}")
    return path


def _evidence(block: Block, features: Features, extraction: Extraction, engine: Engine) -> Evidence:
    settings, protocol = block.settings, block.protocol
    prompted = protocol.questions.prompted
    return Evidence(
        features.by_space,
        protocol.references.by_space,
        protocol.held_out.by_space if protocol.held_out else {},
        labels=block.subject.labels,
        exact=gather_exact(block.subject, extraction, block.cache, batch_size=settings.batch_size, engine=engine),
        device=settings.device,
        prompts=embedded_prompts(block.prompts, prompted, device=settings.device, cache=settings.cache),
    )


def _costs(block: Block, features: Features, wall: float) -> Costs:
    complete = len(features.facts) == len(block.subject.shards)
    costs = [facts["costs"] for facts in features.facts]
    known = costs[0] if costs else {}
    nfe = [cost["nfe"] for cost in costs if cost["nfe"] is not None]
    workers = [facts.get("worker") for facts in features.facts]
    peaks = [facts["peak_memory_bytes"] for facts in features.facts if facts.get("peak_memory_bytes")]
    return Costs(
        parameters=known.get("parameters"),
        weight_bytes=block.weights.bytes if block.weights else None,
        nfe=sum(nfe) / len(nfe) if nfe else None,
        flops_per_image=known.get("flops"),
        bops_per_image=known.get("bops"),
        packed_weight_bytes=known.get("weight_bytes"),
        seconds_per_image=sum(f["making_seconds"] for f in features.facts) / block.n if complete else None,
        extraction_seconds_per_image=sum(map(_extraction, features.facts)) / block.n if complete else None,
        workers=len(set(workers)) if None not in workers else None,
        utilisation=features.utilisation,
        peak_memory_bytes=max(peaks, default=None),
        wall_seconds=wall,
    )


def _extraction(facts: Mapping[str, Any]) -> float:
    """Seconds that a shard's features took, in all spaces; older caches say it of the latest pass alone."""
    passes: Mapping[str, float] = facts.get("passes", {"": facts["extracting_seconds"]})
    return sum(passes.values())


def _scale(resolution: int) -> int:
    """Small images are drawn larger in the preview, so that people can see them."""
    return max(1, 96 // resolution)


def _write_images(block: Block, folder: Path) -> None:
    from PIL import Image

    target = folder / block.run.name
    try:
        target.mkdir(parents=True, exist_ok=True)
        images = pixels(block.subject, PIXELS, block.cache)
        for seed, image in zip(range(block.subject.shards[0].first, 1 << 62), images, strict=False):
            Image.fromarray(image.transpose(1, 2, 0)).save(target / f"{seed:010d}.png")
    except OSError as error:
        raise StoreError(
            f"{target}: cannot be written ({error.strerror})", hint="name another --keep-images"
        ) from error
    console.note(f"  images  {target}")
