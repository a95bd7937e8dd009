"""From evidence to numbers: every metric measured, and what stands in the record of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench import console
from genbench.contributions import Influences, class_contributions, influence_table
from genbench.digest import SHORT, digest
from genbench.errors import FeatureError
from genbench.evaluation import Questions, Subject
from genbench.metrics.catalog import Metric
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.labels import Labels
from genbench.metrics.measure import compare, measure_in
from genbench.metrics.reference import Reference
from genbench.records import ContributionFacts, MeasurementFacts, PartFacts
from genbench.shards import Shard, ShardCache


class Evidence(NamedTuple):
    """What metrics are computed from: features of the images, what they are compared with, and classes."""

    features: Mapping[str, npt.NDArray[np.float32]]
    """(N, d) by space."""
    references: Mapping[str, Reference]
    """By space."""
    held_out: Mapping[str, Reference] = MappingProxyType({})
    """Real images that the references do not hold, by space."""
    labels: Labels | None = None
    """Classes of the N images, by any numbers of their own: they are given those of the references."""
    exact: Mapping[str, npt.NDArray[np.float32]] | None = None
    """Beside fast features, the exact ones of the first images, (m, d) by space."""
    device: str = "cpu"
    prompts: Mapping[str, npt.NDArray[np.float32]] = MappingProxyType({})
    """Embeddings of the images' prompts, (N, d) by space."""
    categories: Sequence[str] | None = None
    """What kind of prompt each of the N images was made from, where it is known."""

    def numbered(self) -> Labels | None:
        """The classes of the images under the numbers and names that the references have for them."""
        return numbered_labels(self.labels, self.references)

    def compare(self, questions: Questions) -> dict[str, Comparison]:
        """What the metrics are computed from, by space; references must be exact, whatever the features are.

        Raises `FeatureError` for features or references that do not belong together, or that a metric lacks.
        """
        return compare(
            questions.metrics,
            self.features,
            self.references,
            held_out=self.held_out,
            labels=self.labels,
            prompts=self.prompts,
            space_digests={name: space.at("exact").digest for name, space in questions.spaces.items()},
            device=self.device,
        )

    def first(self, n: int) -> Evidence:
        """The same of the first `n` images."""
        features = {space: held[:n] for space, held in self.features.items()}
        prompts = {space: held[:n] for space, held in self.prompts.items()}
        return self._replace(features=features, labels=self.labels and self.labels.of(slice(n)), prompts=prompts)


def numbered_labels(labels: Labels | None, references: Mapping[str, Reference]) -> Labels | None:
    """Classes of images under the numbers and names that the references, by space, have for them."""
    known = next((r.labels for r in references.values() if r.labels is not None), None)
    return labels.numbered_as(known) if labels is not None and known is not None else labels


class Answers(NamedTuple):
    """What was asked, measured; each as it stands in the record."""

    measurements: tuple[MeasurementFacts, ...]
    contributions: tuple[ContributionFacts, ...]
    """Of each class to each Fréchet distance; empty where classes are not known."""
    parts: tuple[PartFacts, ...]
    """What measurements are the means of: feature spaces, categories of prompts."""
    influence: str | None
    """Table of each image's influence on each Fréchet distance, below the cache folder; None without such distances."""


def answers(
    questions: Questions, subject: Subject, evidence: Evidence, cache: ShardCache, *, say: Callable[[str], None]
) -> Answers:
    """Measure every metric on the subject's images, and keep what each image does to Fréchet distances in the cache.

    `say` hears each value.

    Raises `FeatureError` for features or references that a metric cannot be computed from honestly.
    """
    started = time.perf_counter()
    comparisons = evidence.compare(questions)
    measured = {metric.id: measure_in(metric, comparisons) for metric in questions.metrics}
    deviations = _deviations(questions, evidence, say) if evidence.exact is not None else {}
    facts = tuple(_facts(metric, measured[metric.id], deviations.get(metric.id)) for metric in questions.metrics)
    for metric, fact in zip(questions.metrics, facts, strict=True):
        say(_line(metric, fact))
    say(f"  metrics took {console.duration(time.perf_counter() - started)}")
    influences = {name: m.influence for name, m in measured.items() if m.influence is not None}
    labels = evidence.numbered()
    return Answers(
        measurements=facts,
        contributions=class_contributions(influences, labels) if labels is not None else (),
        parts=tuple(part for metric in questions.metrics for part in _parts(metric, measured[metric.id], evidence)),
        influence=_keep_influences(questions, influences, subject, evidence, cache) if influences else None,
    )


def _parts(metric: Metric, measured: Measurement, evidence: Evidence) -> Iterator[PartFacts]:
    for name, value, stderr, n, denominator in measured.parts:
        yield PartFacts(metric=metric.id, part=name, value=value, stderr=stderr, n=n, denominator=denominator)
    if measured.scores is None or evidence.categories is None:
        return
    kinds = np.array(evidence.categories)
    for kind in np.unique(kinds).tolist():
        scores = measured.scores[kinds == kind]
        n = len(scores)
        stderr = float(scores.std(ddof=1)) / n**0.5 if n > 1 else None
        yield PartFacts(metric=metric.id, part=kind, value=float(scores.mean()), stderr=stderr, n=n)


class _Deviation(NamedTuple):
    value: float
    n: int


def _deviations(questions: Questions, evidence: Evidence, say: Callable[[str], None]) -> dict[str, _Deviation]:
    """By metric: the value on fast features of the first images less that on their exact features.

    A statistic that so few images give no value of is left out, and `say` hears why.
    """
    exact = evidence.exact or {}
    n = min(map(len, exact.values()))
    fast = evidence.first(n)
    sides = fast.compare(questions), fast._replace(features=exact).compare(questions)
    found = {}
    for metric in questions.metrics:
        if all(questions.spaces[space].precision == "exact" for space in metric.spaces):
            continue
        try:
            value, expected = (measure_in(metric, side).value for side in sides)
        except FeatureError as error:
            say(f"  {metric.label}: no deviation from exact features can be told from {n} images: {error}")
        else:
            found[metric.id] = _Deviation(value - expected, n)
    return found


def _keep_influences(
    questions: Questions, influences: Influences, subject: Subject, evidence: Evidence, cache: ShardCache
) -> str:
    asked = {m.id: m for m in questions.metrics if m.id in influences}
    identity = {
        name: [m.statistic.version, questions.spaces[m.space].digest, evidence.references[m.space].digest]
        for name, m in asked.items()
    }
    stem = f"{Shard(subject.shards[0].first, subject.n).stem}-{digest(identity)[:SHORT]}"
    images = np.concatenate([np.arange(shard.first, shard.first + shard.size) for shard in subject.shards])
    table = partial(influence_table, influences, images, evidence.numbered())
    return cache.keep_influence(subject.digest, stem, table)


def _facts(metric: Metric, measured: Measurement, deviation: _Deviation | None) -> MeasurementFacts:
    if not np.isfinite(measured.value):
        raise FeatureError(f"{metric.id} is {measured.value}", hint="look at the images: they may all be alike")
    return MeasurementFacts(
        metric=metric.id,
        statistic=metric.statistic.name,
        space=metric.space,
        version=metric.statistic.version,
        direction=metric.statistic.direction,
        value=measured.value,
        stderr=measured.stderr,
        n=measured.n,
        n_reference=measured.n_reference,
        spread=measured.spread,
        deviation=deviation.value if deviation else None,
        deviation_n=deviation.n if deviation else None,
    )


def _line(metric: Metric, fact: MeasurementFacts) -> str:
    error = "" if fact.stderr is None else f" ± {fact.stderr:.2g}"
    spread = "" if fact.spread is None else f", spread {fact.spread:.2g}"
    deviation = "" if fact.deviation is None else f", {fact.deviation:+.2g} from exact at n {fact.deviation_n}"
    return (
        f"  {metric.label:<24} {fact.value:.6g}{error}   (n {fact.n}, reference {fact.n_reference}{spread}{deviation})"
    )
