"""Features and a reference in, measurements out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from genbench.errors import FeatureError
from genbench.metrics.catalog import Metric
from genbench.metrics.comparison import Comparison, Labels, Measurement
from genbench.metrics.inputs import Features
from genbench.metrics.reference import Reference

__all__ = ["Labels", "Measurement", "measure", "measure_all"]

T = TypeVar("T")


def measure(
    metric: Metric,
    features: Features,
    reference: Reference | None = None,
    *,
    held_out: Reference | None = None,
    labels: Labels | None = None,
    space_digest: str | None = None,
    device: str = "cpu",
) -> Measurement:
    """Measure generated features (N, d), float32 or float64, against a reference of the metric's space.

    The reference, held-out real images and labels are given where the statistic needs them (`Statistic.needs`). With
    `space_digest`, a reference made with other weights or preprocessing is refused. Raises `FeatureError` for features
    or a reference that the metric cannot be computed from honestly.
    """
    measured = measure_all(
        [metric],
        {metric.space: features},
        {} if reference is None else {metric.space: reference},
        held_out={} if held_out is None else {metric.space: held_out},
        labels=labels,
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
    space_digests: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> dict[str, Measurement]:
    """Measure several metrics, features and references being keyed by space; results are keyed by metric id.

    Metrics in one space share their work: precision, recall, density and coverage are read from one sweep over all
    pairs. Everything that can be refused is refused before the first metric is computed. Raises `FeatureError` as
    `measure` does, and for a space that features or references lack.
    """
    metrics = list(metrics)
    digests = space_digests or {}
    comparisons: dict[str, Comparison] = {}
    for metric in metrics:
        space = metric.space
        held = _held(space, features, "features")
        if metric.statistic.needs & {"moments", "features"}:
            _held(space, references, "reference")
        if space not in comparisons:
            sides = references.get(space), (held_out or {}).get(space)
            for side in sides:
                if side is not None:
                    side.check_space(space, digests.get(space))
            balls = frozenset(m.statistic.balls for m in metrics if m.space == space and m.statistic.balls is not None)
            comparisons[space] = Comparison(held, sides[0], device, held_out=sides[1], labels=labels, asked=balls)
        _check_needs(metric, comparisons[space])
    return {metric.id: metric.statistic.load()(comparisons[metric.space]) for metric in metrics}


def _held(space: str, by_space: Mapping[str, T], what: str) -> T:
    if space not in by_space:
        raise FeatureError(
            f"no {what} in space {space} (only in {', '.join(by_space) or 'none'})",
            hint=f"extract {space}, or leave its metrics out",
        )
    return by_space[space]


def _check_needs(metric: Metric, comparison: Comparison) -> None:
    needs = metric.statistic.needs
    if "features" in needs and comparison.reference.features is None:
        raise FeatureError(
            f"{metric.id} compares features, but the {comparison.reference.space} reference carries moments only",
            hint="give the reference as images, or build it with features; fd needs moments only",
        )
    if needs & {"held-out moments", "held-out features"}:
        if comparison.held_out is None:
            raise FeatureError(
                f"{metric.id} reads held-out real images, and there are none in space {metric.space}",
                hint="give a second reference of real images, such as a validation split, or leave this metric out",
            )
        if "held-out features" in needs and comparison.held_out.features is None:
            raise FeatureError(
                f"{metric.id} compares features, but the held-out {metric.space} reference carries moments only",
                hint="build it with features",
            )
    if "labels" in needs and comparison.labels is None:
        raise FeatureError(
            f"{metric.id} is taken class by class, and the classes of the images are not known",
            hint="give labels, or images in one folder a class; or leave this metric out",
        )
