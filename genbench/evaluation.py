"""What images are measured by: metrics, their feature spaces and references; and the way from images to numbers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch import Tensor

from genbench import console
from genbench.digest import digest_file
from genbench.engine.local import PIXELS, PREVIEW, Images, Job, fill
from genbench.errors import FeatureError, UsageError
from genbench.features import spaces as feature_spaces
from genbench.features.extractor import load_extractors
from genbench.features.spaces import Space
from genbench.images.preflight import Report, ShardFacts, preflight
from genbench.metrics import catalog
from genbench.metrics.catalog import Metric
from genbench.metrics.measure import measure_all
from genbench.metrics.reference import Reference
from genbench.plan import Plan, make_plan
from genbench.records import MeasurementFacts, ReferenceFacts
from genbench.shards import Shard, ShardCache, space_folder


class Questions(NamedTuple):
    """What is asked of images: metrics, and the spaces that they need, by name."""

    metrics: tuple[Metric, ...]
    spaces: dict[str, Space]


def parse_metrics(names: Sequence[str]) -> Questions:
    """Metrics by name, without repeats, in the order given.

    Raises `UsageError` for an unknown metric or space, with the nearest names.
    """
    metrics = tuple({metric.id: metric for metric in map(catalog.parse, names)}.values())
    if not metrics:
        raise UsageError("no metric is asked for", hint="for example --metrics fid,kid,precision,recall")
    return Questions(metrics, {m.space: feature_spaces.get(m.space) for m in metrics})


@dataclass(frozen=True)
class References:
    """What the images are compared with, by feature space."""

    by_space: Mapping[str, Reference]
    facts: ReferenceFacts


def packaged_references(name: str, spaces: Mapping[str, Space], registry: Sequence[Path]) -> References:
    """The statistics files of that name in the registry, one for each space.

    Raises `UsageError` when there is none of that name, `FeatureError` when one was made in another space.
    """
    loaded: dict[str, Reference] = {}
    sha256: dict[str, str] = {}
    for space in spaces.values():
        path = _reference_file(name, space, registry)
        loaded[space.name] = Reference.load(path, space=space.name, space_digest=space.digest)
        sha256[space.name] = digest_file(path)
    return References(loaded, ReferenceFacts(name=name, sha256=sha256, n={s: r.n for s, r in loaded.items()}))


def reference_names(registry: Sequence[Path]) -> list[str]:
    """Names of the reference statistics in the registry."""
    return sorted({path.parent.name for folder in registry for path in folder.glob("references/*/*.safetensors")})


def _reference_file(name: str, space: Space, registry: Sequence[Path]) -> Path:
    for folder in registry:
        path = folder / "references" / name / f"{space.name.replace('/', '_')}.safetensors"
        if path.is_file():
            return path
    if name not in reference_names(registry):
        from genbench.errors import unknown

        raise unknown("reference", name, reference_names(registry), where="registry/references")
    raise UsageError(
        f"reference {name!r} has no statistics in {space.name}",
        hint="leave that space's metrics out, or give the reference as images",
    )


class Extraction:
    """The feature networks, loaded when the first image needs them."""

    def __init__(self, spaces: Sequence[Space], *, device: str, cache: Path) -> None:
        self.spaces, self.device, self._cache = tuple(spaces), device, cache

    @cached_property
    def _extract(self) -> Callable[[Tensor], dict[str, Tensor]]:
        return load_extractors(self.spaces, device=self.device, cache=self._cache)

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
    labels: tuple[str, ...] | None = None
    """Class folder of each image, where there are such."""


class Features(NamedTuple):
    """What was gathered of one subject."""

    by_space: dict[str, npt.NDArray[np.float32]]
    """(N, d) each."""
    report: Report
    """Preflight."""
    facts: list[dict[str, Any]]
    """What each shard took."""


def plan_subject(subject: Subject, spaces: Sequence[Space], cache: ShardCache, extra: Sequence[str] = ()) -> Plan:
    """What is missing of a subject in the cache; `extra` names pseudo-spaces (preview, pixels)."""
    folders = _folders(spaces)
    return make_plan(
        subject.shards,
        [*(space.name for space in spaces), *extra],
        # one preview a subject is enough, and its first shard has it
        lambda space, shard: (
            (space == PREVIEW and shard != subject.shards[0]) or cache.has(subject.digest, folders[space], shard)
        ),
    )


def gather(subject: Subject, plan: Plan, extraction: Extraction, cache: ShardCache, *, batch_size: int) -> Features:
    """Make what the plan misses, then read everything from the cache.

    Raises what reading images, sampling and extracting raise; finished shards are kept.
    """
    folders = _folders(extraction.spaces)
    if plan.work:
        job = Job(subject.open(), subject.digest, plan, folders, extraction, batch_size, extraction.device)
        cache.describe(subject.digest, subject.title)
        with console.progress(subject.title, plan.images, done=plan.images - plan.missing) as progress:
            fill(job, cache, progress.advance)
    by_space = {
        space.name: np.concatenate(
            [cache.read(subject.digest, folders[space.name], shard) for shard in subject.shards]
        ).reshape(plan.images, -1)
        for space in extraction.spaces
    }
    facts = [found for shard in subject.shards if (found := cache.read_facts(subject.digest, shard))]
    report = preflight([ShardFacts.from_json(f["preflight"]) for f in facts], subject.labels)
    return Features(by_space, report, facts)


def pixels(subject: Subject, space: str, cache: ShardCache) -> npt.NDArray[np.uint8]:
    """The pixels kept in a pseudo-space, (N, 3, H, W) uint8."""
    shards = subject.shards[:1] if space == PREVIEW else subject.shards
    return np.concatenate([cache.read(subject.digest, space, shard) for shard in shards])


def _folders(spaces: Sequence[Space]) -> dict[str, str]:
    return {s.name: space_folder(s.name, s.digest) for s in spaces} | {PREVIEW: PREVIEW, PIXELS: PIXELS}


def answers(
    questions: Questions,
    features: Mapping[str, npt.NDArray[np.float32]],
    references: References,
    *,
    device: str,
    say: Callable[[str], None],
) -> tuple[MeasurementFacts, ...]:
    """Measure every metric; `say` hears each value as it is known.

    Raises `FeatureError` for features or references that a metric cannot be computed from honestly.
    """
    started = time.perf_counter()
    measured = measure_all(
        questions.metrics,
        features,
        references.by_space,
        space_digests={name: space.digest for name, space in questions.spaces.items()},
        device=device,
    )
    facts = []
    for metric in questions.metrics:
        value = measured[metric.id]
        if not np.isfinite(value.value):
            raise FeatureError(f"{metric.id} is {value.value}", hint="look at the images: they may all be alike")
        facts.append(
            MeasurementFacts(
                metric=metric.id,
                statistic=metric.statistic.name,
                space=metric.space,
                version=metric.statistic.version,
                direction=metric.statistic.direction,
                value=value.value,
                stderr=value.stderr,
                n=value.n,
                n_reference=value.n_reference,
            )
        )
        error = "" if value.stderr is None else f" ± {value.stderr:.2g}"
        say(f"  {metric.label:<24} {value.value:.6g}{error}   (n {value.n}, reference {value.n_reference})")
    say(f"  metrics took {console.duration(time.perf_counter() - started)}")
    return tuple(facts)
