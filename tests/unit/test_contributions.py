"""Contributions of classes and influences of images: they sum to nothing, and say what reweighting would do."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from genbench.contributions import class_contributions, influence_table
from genbench.metrics.frechet import frechet_distance
from genbench.metrics.labels import Labels
from genbench.metrics.moments import Moments

RNG = np.random.default_rng(0)
LABELS = Labels(np.repeat([0, 2, 3], [300, 150, 50]), ("good", "none", "fair", "odd"))
FEATURES = RNG.standard_normal((500, 6)).astype(np.float32)
FEATURES[LABELS.classes == 3] += 2
REFERENCE = Moments.from_features(RNG.standard_normal((20_000, 6)).astype(np.float32))
DISTANCE = frechet_distance(FEATURES, REFERENCE)
INFLUENCES = {"fd@toy": DISTANCE.influence, "fd@toy/other": 2 * DISTANCE.influence}


def test_contributions_weighted_by_share_sum_to_nothing() -> None:
    facts = class_contributions(INFLUENCES, LABELS)
    assert [(f.metric, f.label, f.name, f.n) for f in facts[:3]] == [
        ("fd@toy", 0, "good", 300),
        ("fd@toy", 2, "fair", 150),
        ("fd@toy", 3, "odd", 50),
    ]
    for metric in INFLUENCES:
        of_metric = [f for f in facts if f.metric == metric]
        assert sum(f.n * f.contribution for f in of_metric) == pytest.approx(0, abs=1e-9 * 500 * DISTANCE.value)
    assert facts[2].contribution > 0 > facts[0].contribution, "the shifted class is the one to blame"


def test_a_contribution_is_the_slope_of_the_distance_as_the_class_gains_weight() -> None:
    # Expected: the distance of reweighted moments, by a central difference. Weighted moments are those of a mixture.
    def distance_at(weight: float, number: int) -> float:
        of_class = LABELS.classes == number
        weights = (1 - weight) / 500 + weight * of_class / of_class.sum()
        mean = weights @ FEATURES.astype(np.float64)
        centred = FEATURES - mean
        cov = (weights[:, None] * centred).T @ centred * (500 / 499)
        spectrum = np.linalg.eigvals(cov @ REFERENCE.cov).real.clip(min=0)
        shift = mean - REFERENCE.mean
        return float(shift @ shift + np.trace(cov) + np.trace(REFERENCE.cov) - 2 * np.sqrt(spectrum).sum())

    assert distance_at(0, 0) == pytest.approx(DISTANCE.value, rel=1e-6)
    for fact in class_contributions({"fd@toy": DISTANCE.influence}, LABELS):
        slope = (distance_at(1e-4, fact.label) - distance_at(-1e-4, fact.label)) / 2e-4
        # n - 1 instead of n in covariances is what the two differ by.
        assert fact.contribution == pytest.approx(slope, rel=5 / 500)


def test_the_standard_error_is_that_of_the_mean_of_the_class() -> None:
    single = Labels(np.array([1] + [0] * 499))
    rest, one = class_contributions({"fd@toy": DISTANCE.influence}, single)
    assert rest.stderr == pytest.approx(DISTANCE.influence[1:].std(ddof=1) / 499**0.5)
    assert (one.n, one.stderr, one.name) == (1, None, None)


def test_influences_are_a_row_an_image_and_a_column_a_space(tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    path.write_bytes(influence_table(INFLUENCES, np.arange(1000, 1500), LABELS))
    with duckdb.connect() as connection:
        found = connection.read_parquet(str(path))
        assert found.columns == ["image", "class", "toy", "toy/other"]
        columns = found.fetchnumpy()
    assert columns["image"].tolist() == list(range(1000, 1500))
    np.testing.assert_array_equal(columns["class"], LABELS.classes)
    np.testing.assert_array_equal(columns["toy/other"], 2 * DISTANCE.influence)
    path.write_bytes(influence_table(INFLUENCES, np.arange(500), None))
    with duckdb.connect() as connection:
        assert connection.read_parquet(str(path)).columns == ["image", "toy", "toy/other"]
