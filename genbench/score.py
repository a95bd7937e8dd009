"""Scores: images that exist already against other images or stored statistics; no card, no suite needed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench import console, provenance
from genbench.answers import Evidence, answers, numbered_labels
from genbench.errors import UsageError, nearest
from genbench.evaluation import (
    Extraction,
    Features,
    Questions,
    Subject,
    gather,
    gather_exact,
    plan_subject,
    stored_images,
)
from genbench.features.space import Space
from genbench.images.sources import ImageSource, open_source
from genbench.metrics.labels import Labels
from genbench.metrics.measure import check_needs
from genbench.metrics.reference import Reference
from genbench.prompts import PromptFile, Prompts, PromptTemplate, embedded_prompts, open_prompts
from genbench.protocol import Protocol
from genbench.reconstructions import Reconstructions
from genbench.records import Costs, ImageFacts, Record, ReferenceFacts, SuiteFacts, new_id
from genbench.references import NOTHING, References, Shelf, from_file, from_images
from genbench.shards import ShardCache


@dataclass(frozen=True)
class Settings:
    """How scores are made; nothing here but `limit` changes a number."""

    cache: Path
    registry: Sequence[Path]
    device: str = "cpu"
    batch_size: int = 64
    workers: int | None = None
    limit: int | None = None
    """Take only the first so many images of the scored path."""


class Sides(NamedTuple):
    """What images are compared with."""

    references: References
    held_out: References | None = None
    """Real images that the reference does not hold."""
    pairs: Reconstructions | None = None
    """The images with the originals that they were made from."""
    prompts: Prompts | None = None
    """What the images were made from."""

    @property
    def held_out_by_space(self) -> Mapping[str, Reference]:
        """Of held-out real images; empty without any."""
        return self.held_out.by_space if self.held_out else {}


def score(
    path: Path,
    reference: str | None,
    questions: Questions,
    settings: Settings,
    *,
    held_out: str | None = None,
    prompts: str | None = None,
) -> Record:
    """Measure the images at `path` against `reference`: images of any kind, a statistics file, or a packaged name.

    `held_out` names other real images in the same ways, for the metrics that need some; `prompts` is a file of what the
    images were made from, or a template for images in class folders (`genbench.prompts.open_prompts`). Metrics that
    compare with prompts alone need no reference.

    Raises `ImageError` for images that cannot be read, `FeatureError` and `UsageError` for a reference or held-out
    images that do not serve the metrics.
    """
    source = open_source(path, workers=settings.workers)
    if held_out is not None and not questions.held_out:
        raise UsageError(
            "--held-out is given, and no metric that is asked for reads held-out images",
            hint="leave it out, or ask for a metric such as fld@inception-tf",
        )
    if prompts is not None and not questions.prompted:
        raise UsageError(
            "--prompts is given, and no metric that is asked for reads prompts",
            hint="leave it out, or ask for clip-score",
        )
    references = _references(reference, questions.compared, settings) if reference is not None else NOTHING
    n = min(len(source), settings.limit or len(source))
    sides = Sides(
        references,
        _references(held_out, questions.held_out, settings) if held_out is not None else None,
        prompts=_prompts(open_prompts(prompts, settings.registry), source, len(source), references).first(n)
        if prompts is not None
        else None,
    )
    return _record(source, stored_images(source, n), questions, sides, settings, None)


def score_reconstructions(path: Path, originals: Path, questions: Questions, settings: Settings) -> Record:
    """Measure the images at `path` against the `originals` that they were made from, in pairs and as sets.

    An image's original is the one at its place in the other source; files must be called alike, but for the suffix.

    Raises `ImageError` for images that cannot be read, `UsageError` for other numbers or names of originals, and
    `FeatureError` for another size than the original's.
    """
    source, theirs = (open_source(side, workers=settings.workers) for side in (path, originals))
    n = min(len(source), settings.limit or len(source))
    pairs = Reconstructions(source, theirs, n)
    compared = _references(str(originals), questions.compared, settings).by_space if questions.compared else {}
    sides = Sides(References(compared, facts_of(theirs, questions)), pairs=pairs)
    return _record(source, stored_images(source, n), questions, sides, settings, None)


def score_pairs(
    images: ImageSource, subject: Subject, originals: ImageSource, questions: Questions, settings: Settings
) -> Record:
    """Measure what was made of all the `originals` as `score_reconstructions` does; `subject` is of the `images`."""
    extraction = Extraction(list(questions.compared.values()), device=settings.device, cache=settings.cache)
    cache = ShardCache(settings.cache)
    compared = (
        from_images(originals, extraction, cache, batch_size=settings.batch_size).by_space if questions.compared else {}
    )
    pairs = Reconstructions(images, originals, subject.n)
    sides = Sides(References(compared, facts_of(originals, questions)), pairs=pairs)
    return _record(images, subject, questions, sides, settings, None)


def facts_of(originals: ImageSource, questions: Questions) -> ReferenceFacts:
    """What stands in the record of the images that others were made from."""
    return ReferenceFacts(
        name=originals.name,
        sha256=dict.fromkeys(questions.spaces, originals.digest),
        n=dict.fromkeys(questions.spaces, len(originals)),
    )


def score_suite(path: Path, protocol: Protocol, settings: Settings) -> Record:
    """Measure the images at `path` as a suite's images: its count, its resolution, its metrics and reference.

    Raises `UsageError` when there are fewer images than the suite asks for (unless limited) or they are of another
    size, and what `score` raises.
    """
    suite = protocol.suite
    source = open_source(path, workers=settings.workers)
    wanted = min(suite.images, settings.limit or suite.images)
    if len(source) < wanted:
        raise UsageError(
            f"{path}: {len(source)} images, suite {suite.id} asks for {wanted}",
            hint=f"make the rest, or add --limit {len(source)} for a smoke test that enters no leaderboard",
        )
    if len(source) > wanted:
        console.note(f"{path}: the first {wanted} of {len(source)} images are measured, as suite {suite.id} asks")
    given, references = protocol.prompts, protocol.references
    prompts = _prompts(given, source, wanted, references, more=True) if given else None
    sides = Sides(references, protocol.held_out, prompts=prompts)
    return _record(source, stored_images(source, wanted), protocol.questions, sides, settings, protocol)


def _prompts(
    given: PromptFile | PromptTemplate, source: ImageSource, n: int, references: References, *, more: bool = False
) -> Prompts:
    """What the first `n` images were made from; `more`: the file may go on behind these."""
    labels = Labels.of_folders(source.labels[:n]) if source.labels else None
    return given.of(source.names[:n], numbered_labels(labels, references.by_space), more=more)


def _record(
    source: ImageSource,
    subject: Subject,
    questions: Questions,
    sides: Sides,
    settings: Settings,
    protocol: Protocol | None,
) -> Record:
    started = time.perf_counter()
    n, cache = subject.n, ShardCache(settings.cache)
    check_needs(
        questions.metrics,
        sides.references.by_space,
        sides.held_out_by_space,
        labelled=subject.labels is not None,
        prompted=sides.prompts is not None,
    )
    extraction = Extraction(
        [space for space in questions.spaces.values() if not space.paired], device=settings.device, cache=settings.cache
    )
    features = _features(subject, extraction, cache, settings)
    if protocol:
        _check_sizes(source, features, protocol.suite.resolution)
    warnings = tuple(features.report.warnings())
    for warning in warnings:
        console.warn(f"{source.name}: {warning}")
    console.note(f"{source.name}: {n} images against {sides.references.facts.name}")
    evidence = _evidence(subject, features, extraction, questions, sides, settings)
    found = answers(questions, subject, evidence, cache, say=console.note)
    created, name = new_id()
    return Record(
        id=name,
        created=created,
        kind="score",
        limited=n < (protocol.suite.images if protocol else len(source)),
        block=0,
        suite=SuiteFacts(id=protocol.suite.id, digest=protocol.digest) if protocol else None,
        run=None,
        images=ImageFacts(source=source.name, digest=source.digest, n=n, warnings=warnings),
        reference=sides.references.facts,
        held_out=sides.held_out.facts if sides.held_out else None,
        prompts=sides.prompts.facts if sides.prompts else None,
        precision=questions.precision,
        spaces={name: space.digest for name, space in questions.spaces.items()},
        **found._asdict(),
        costs=Costs(utilisation=features.utilisation, wall_seconds=time.perf_counter() - started),
        provenance=provenance.collect(settings.device),
    )


def _features(subject: Subject, extraction: Extraction, cache: ShardCache, settings: Settings) -> Features:
    plan = plan_subject(subject, extraction.spaces, cache)
    return gather(subject, plan, extraction, cache, batch_size=settings.batch_size)


def _evidence(
    subject: Subject,
    features: Features,
    extraction: Extraction,
    questions: Questions,
    sides: Sides,
    settings: Settings,
) -> Evidence:
    """What the metrics are computed from; of pairs, whose values are exact always, the first stand beside fast ones."""
    of_pairs = _of_pairs(sides.pairs, questions, settings) if sides.pairs else {}
    exact = gather_exact(subject, extraction, ShardCache(settings.cache), batch_size=settings.batch_size)
    if exact:
        n = min(map(len, exact.values()))
        exact = exact | {name: values[:n] for name, values in of_pairs.items()}
    prompts = sides.prompts
    return Evidence(
        features.by_space | of_pairs,
        sides.references.by_space,
        sides.held_out_by_space,
        labels=subject.labels,
        exact=exact,
        device=settings.device,
        prompts=embedded_prompts(prompts, questions.prompted, device=settings.device, cache=settings.cache),
        categories=prompts.categories if prompts else None,
    )


def _of_pairs(pairs: Reconstructions, questions: Questions, settings: Settings) -> dict[str, npt.NDArray[np.float32]]:
    return pairs.compare(
        [space for space in questions.spaces.values() if space.paired],
        ShardCache(settings.cache),
        device=settings.device,
        weights=settings.cache,
        batch_size=settings.batch_size,
    )


def _check_sizes(source: ImageSource, features: Features, resolution: int) -> None:
    wanted = f"{resolution}x{resolution}"
    others = {size: count for size, count in features.report.sizes.items() if size != wanted}
    if others:
        found = ", ".join(f"{count} of {size}" for size, count in others.items())
        raise UsageError(
            f"{source.name}: the suite asks for images of {wanted}, found {found}",
            hint="resize them as the protocol says, or score them without --suite",
        )


def _references(reference: str, wanted: Mapping[str, Space], settings: Settings) -> References:
    path = Path(reference)
    if path.suffix == ".safetensors":
        return from_file(path, wanted)
    shelf = Shelf(settings.registry, settings.cache, settings.device, settings.batch_size)
    names = shelf.names()
    if not path.exists() and (reference in names or nearest(reference, names)):
        return shelf.load(reference, wanted)
    source = open_source(path, workers=settings.workers)
    extraction = Extraction(list(wanted.values()), device=settings.device, cache=settings.cache)
    return from_images(source, extraction, ShardCache(settings.cache), batch_size=settings.batch_size)
