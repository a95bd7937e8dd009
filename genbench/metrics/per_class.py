"""Statistics taken class by class, and their means over classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.balls import PRDC
from genbench.metrics.comparison import Comparison, Measurement
from genbench.metrics.frechet import FrechetDistance, frechet_distance
from genbench.metrics.inception_score import InceptionScore, inception_score
from genbench.metrics.jackknife import jackknife_stderr
from genbench.metrics.labels import Classes
from genbench.metrics.moments import Moments
from genbench.metrics.neighbours import Indices, Neighbourhoods, neighbourhoods


def rows_of_classes(labels: Classes, what: str, *, at_least: int = 1) -> dict[int, Indices]:
    """Which rows each class has, by class. Raises `FeatureError` for a class of fewer than `at_least` images."""
    order = np.argsort(labels, kind="stable")
    classes, starts = np.unique(labels[order], return_index=True)
    rows = dict(zip(classes.tolist(), np.split(order, starts[1:]), strict=True))
    for name, of_class in rows.items():
        if len(of_class) < at_least:
            raise FeatureError(
                f"class {name} has {len(of_class)} {what} image(s), at least {at_least} are needed",
                hint="generate more images of that class, or leave the per-class metrics out",
            )
    return rows


def frechet_per_class(comparison: Comparison) -> dict[int, FrechetDistance]:
    """FD of each class to the same class of the reference, whose features and labels are read.

    Raises `FeatureError` for a class with fewer than 2 images on either side.
    """
    generated = rows_of_classes(comparison.classes, "generated", at_least=2)
    reference = rows_of_classes(comparison.reference_classes, "reference", at_least=2)
    if generated.keys() != reference.keys():
        only = min(generated.keys() ^ reference.keys())
        side = "reference" if only in generated else "generated"
        raise FeatureError(
            f"class {comparison.matched.name(only)} has no {side} images",
            hint="give both sides the same classes, or leave fd-per-class out",
        )
    return {
        name: frechet_distance(
            comparison.features[rows],
            Moments.from_features(comparison.reference_features[reference[name]]),
            device=comparison.device,
        )
        for name, rows in generated.items()
    }


def inception_score_per_class(comparison: Comparison) -> dict[int, InceptionScore]:
    """IS of each class's images by themselves, in one split: how unlike the images of a class are to the network.

    Raises `FeatureError` for a class with fewer than 2 images.
    """
    rows = rows_of_classes(comparison.classes, "generated", at_least=2)
    return {name: inception_score(comparison.features[of_class], splits=1) for name, of_class in rows.items()}


def coverage_per_class(comparison: Comparison) -> dict[int, Neighbourhoods | None]:
    """Neighbourhoods within each class of the reference (k = 5); None where no image of the class was generated.

    Raises `FeatureError` for a class with 5 images or fewer on a side that has any.
    """
    generated = rows_of_classes(comparison.classes, "generated", at_least=PRDC.k + 1)
    reference = rows_of_classes(comparison.reference_classes, "reference", at_least=PRDC.k + 1)
    return {
        name: neighbourhoods(
            comparison.features[generated[name]],
            comparison.reference_features[rows],
            k=PRDC.k,
            strict=PRDC.strict,
            device=comparison.device,
        )
        if name in generated
        else None
        for name, rows in reference.items()
    }


def measure_fd_per_class(comparison: Comparison) -> Measurement:
    """The `fd-per-class` statistic."""
    found = frechet_per_class(comparison)
    values, errors = {c: d.value for c, d in found.items()}, {c: d.stderr for c, d in found.items()}
    return _mean(comparison, values, errors, len(comparison.reference_features))


def measure_is_per_class(comparison: Comparison) -> Measurement:
    """The `is-per-class` statistic."""
    found = inception_score_per_class(comparison)
    errors = {name: score.stderr or 0.0 for name, score in found.items()}
    return _mean(comparison, {name: score.value for name, score in found.items()}, errors, 0)


def measure_coverage_per_class(comparison: Comparison) -> Measurement:
    """The `coverage-per-class` statistic; a class that was not generated has coverage 0."""
    found = coverage_per_class(comparison)
    values = {name: float(n.covered.mean()) if n else 0.0 for name, n in found.items()}
    errors = {name: jackknife_stderr(n.coverage_without) if n else 0.0 for name, n in found.items()}
    return _mean(comparison, values, errors, len(comparison.reference_features))


def _mean(
    comparison: Comparison, values: Mapping[int, float], errors: Mapping[int, float], n_reference: int
) -> Measurement:
    # Classes are sampled independently of one another.
    stderr = float(np.linalg.norm(list(errors.values()))) / len(errors)
    return Measurement(float(np.mean(list(values.values()))), stderr, len(comparison.features), n_reference)
