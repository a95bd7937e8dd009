"""Features and a reference in, measurements out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from genbench.errors import FeatureError
from genbench.metrics.catalog import Metric
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features
from genbench.metrics.labels import Labels
from genbench.metrics.reference import Reference

__all__ = ["Labels", "Measurement", "check_needs", "compare", "measure", "measure_all", "measure_in"]

T = TypeVar("T")


def measure(
    metric: Metric,
    features: Features,
    reference: Reference | None = None,
    *,
    held_out: Reference | None = None,
    labels: Labels | None = None,
    prompts: Features | None = None,
    space_digest: str | None = None,
    device: str = "cpu",
) -> Measurement:
    """Measure generated features (N, d), float32 or float64, against a reference of the metric's space.

    The reference, held-out real images, the classes of the generated images (`labels`) and embeddings (N, d) of their
    `prompts` are given where the statistic needs them (`Statistic.needs`); the reference carries the classes of its own
    images, and where both sides name their classes, those of one name are the same. With `space_digest`, a reference
    made with other weights or preprocessing is refused. Raises `FeatureError` for features or a reference that the
    metric cannot be computed from honestly.
    """
    measured = measure_all(
        [metric],
        {metric.space: features},
        {} if reference is None else {metric.space: reference},
        held_out={} if held_out is None else {metric.space: held_out},
        labels=labels,
        prompts={} if prompts is None else {metric.space: prompts},
        space_digests={} if space_digest is None else {metric.space: space_digest},
        device=device,
    )
    return measured[metric.id]


def measure_all(
    metrics: Iterable[Metric],
    features: Mapping[str, Features],
    references: Mapping[str, Reference],
    *,
    held_out: Mapping[str, Reference] | None = None,
    labels: Labels | None = None,
    prompts: Mapping[str, Features] | None = None,
    space_digests: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> dict[str, Measurement]:
    """Measure several metrics, features and references being keyed by space; results are keyed by metric id.

    Metrics in one space share their work: precision, recall, density and coverage are read from one sweep over all
    pairs. Everything that can be refused is refused before the first metric is computed. Raises `FeatureError` as
    `measure` does, and for a space that features or references lack.
    """
    metrics = list(metrics)
    comparisons = compare(
        metrics,
        features,
        references,
        held_out=held_out,
        labels=labels,
        prompts=prompts,
        space_digests=space_digests,
        device=device,
    )
    return {metric.id: measure_in(metric, comparisons) for metric in metrics}


def measure_in(metric: Metric, comparisons: Mapping[str, Comparison]) -> Measurement:
    """Measure one metric in what `compare` gave. Raises `FeatureError` as `measure` does."""
    function = metric.statistic.load()
    sides = [comparisons[space] for space in metric.spaces]
    found: Measurement = function(sides) if metric.statistic.joint else function(*sides)
    return found


def compare(
    metrics: Sequence[Metric],
    features: Mapping[str, Features],
    references: Mapping[str, Reference],
    *,
    held_out: Mapping[str, Reference] | None = None,
    labels: Labels | None = None,
    prompts: Mapping[str, Features] | None = None,
    space_digests: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> dict[str, Comparison]:
    """What the metrics are computed from, by space: checked, and nothing computed yet.

    Raises `FeatureError` as `measure_all` does.
    """
    spaces = dict.fromkeys(space for metric in metrics for space in metric.spaces)
    held_by_space = {space: _held(space, features, "features") for space in spaces}
    prompts = prompts or {}
    check_needs(metrics, references, held_out or {}, labelled=labels is not None, prompted=bool(prompts))
    digests = space_digests or {}
    comparisons: dict[str, Comparison] = {}
    for space, held in held_by_space.items():
        sides = references.get(space), (held_out or {}).get(space)
        for side in sides:
            if side is not None:
                side.check_space(space, digests.get(space))
        balls = frozenset(m.statistic.balls for m in metrics if space in m.spaces and m.statistic.balls is not None)
        comparisons[space] = Comparison(
            held, sides[0], device, held_out=sides[1], labels=labels, prompts=prompts.get(space), asked=balls
        )
    return comparisons


def check_needs(
    metrics: Iterable[Metric],
    references: Mapping[str, Reference],
    held_out: Mapping[str, Reference],
    *,
    labelled: bool,
    prompted: bool = False,
) -> None:
    """Raise `FeatureError` for the first metric that needs what is not there.

    `labelled` and `prompted` say whether the images' classes and prompts are known. No features are needed, so that it
    is known before any are extracted.
    """
    for metric in metrics:
        for space in metric.spaces:
            _check_reference(metric, space, references)
            _check_held_out(metric, space, held_out.get(space))
        if "labels" in metric.statistic.needs and not labelled:
            raise FeatureError(
                f"{metric.id} is taken class by class, and the classes of the images are not known",
                hint="give labels, or images in one folder a class; or leave this metric out",
            )
        if "prompts" in metric.statistic.needs and not prompted:
            raise FeatureError(
                f"{metric.id} compares images with their prompts, and these are not known",
                hint="give them with --prompts of `genbench score`, or leave this metric out",
            )


def _held(space: str, by_space: Mapping[str, T], what: str) -> T:
    if space not in by_space:
        raise FeatureError(
            f"no {what} in space {space} (only in {', '.join(by_space) or 'none'})",
            hint=f"extract {space}, or leave its metrics out",
        )
    return by_space[space]


def _check_reference(metric: Metric, space: str, references: Mapping[str, Reference]) -> None:
    needs = metric.statistic.needs
    if not needs & {"moments", "packet moments", "features", "reference labels"}:
        return
    reference = _held(space, references, "reference")
    if "moments" in needs:
        reference.check_whole(metric.id)
    if "features" in needs and reference.features is None:
        raise FeatureError(
            f"{metric.id} compares features, but the {reference.space} reference carries moments only",
            hint="give the reference as images, or build it with features; fd needs moments only",
        )
    if "reference labels" in needs and reference.labels is None:
        raise FeatureError(
            f"{metric.id} is taken class by class, and the reference's classes are not known",
            hint="build the reference from images in one folder a class, or leave this metric out",
        )


def _check_held_out(metric: Metric, space: str, held_out: Reference | None) -> None:
    needs = metric.statistic.needs
    if not needs & {"held-out moments", "held-out features"}:
        return
    if held_out is None:
        raise FeatureError(
            f"{metric.id} reads held-out real images, and there are none in space {space}",
            hint="name them: `held_out` in a suite, --held-out for `genbench score`; or leave this metric out",
        )
    if "held-out moments" in needs:
        held_out.check_whole(metric.id)
    if "held-out features" in needs and held_out.features is None:
        raise FeatureError(
            f"{metric.id} compares features, but the held-out {space} reference carries moments only",
            hint="build it with features",
        )
