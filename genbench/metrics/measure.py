"""Features and a reference in, measurements out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from genbench.errors import FeatureError
from genbench.metrics.catalog import Metric
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.inputs import Features
from genbench.metrics.reference import Reference

__all__ = ["Measurement", "measure", "measure_all"]

T = TypeVar("T")


def measure(
    metric: Metric,
    features: Features,
    reference: Reference,
    *,
    space_digest: str | None = None,
    device: str = "cpu",
) -> Measurement:
    """Measure generated features (N, d), float32 or float64, against a reference of the metric's space.

    With `space_digest`, a reference made with other weights or preprocessing is refused. Raises `FeatureError` for
    features or a reference that the metric cannot be computed from honestly.
    """
    digests = {} if space_digest is None else {metric.space: space_digest}
    both = {metric.space: features}, {metric.space: reference}
    return measure_all([metric], *both, space_digests=digests, device=device)[metric.id]


def measure_all(
    metrics: Iterable[Metric],
    features: Mapping[str, Features],
    references: Mapping[str, Reference],
    *,
    space_digests: Mapping[str, str] | None = None,
    device: str = "cpu",
) -> dict[str, Measurement]:
    """Measure several metrics, `features` and `references` being keyed by space; results are keyed by metric id.

    Metrics in one space share their work: precision and recall are read from one sweep over all pairs.
    Everything that can be refused is refused before the first metric is computed. Raises `FeatureError` as `measure`
    does, and for a space that features or references lack.
    """
    metrics = list(metrics)
    digests = space_digests or {}
    comparisons: dict[str, Comparison] = {}
    for metric in metrics:
        space = metric.space
        if space not in comparisons:
            held = _held(space, features, "features")
            reference = _held(space, references, "reference")
            reference.check_space(space, digests.get(space))
            comparisons[space] = Comparison(held, reference, device)
        _check_needs(metric, comparisons[space].reference)
    return {metric.id: metric.statistic.load()(comparisons[metric.space]) for metric in metrics}


def _held(space: str, by_space: Mapping[str, T], what: str) -> T:
    if space not in by_space:
        raise FeatureError(
            f"no {what} in space {space} (only in {', '.join(by_space) or 'none'})",
            hint=f"extract {space}, or leave its metrics out",
        )
    return by_space[space]


def _check_needs(metric: Metric, reference: Reference) -> None:
    if "features" in metric.statistic.needs and reference.features is None:
        raise FeatureError(
            f"{metric.id} compares features, but the {reference.space} reference carries moments only",
            hint="give the reference as images, or build it with features; fd needs moments only",
        )
