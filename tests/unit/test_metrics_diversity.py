"""Mean distance of all pairs of a set, against the pairs themselves."""

from itertools import combinations

import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics.catalog import parse
from genbench.metrics.diversity import mean_pairwise_distance
from genbench.metrics.measure import measure

RNG = np.random.default_rng(0)
FEATURES = (RNG.standard_normal((13, 40)) * RNG.uniform(0.1, 3, 40) + 50).astype(np.float32)


def over_pairs(features: np.ndarray) -> float:
    return float(np.mean([np.square(a.astype(float) - b).sum() for a, b in combinations(features, 2)]))


def test_the_value_is_the_mean_over_all_pairs() -> None:
    assert mean_pairwise_distance(FEATURES).value == pytest.approx(over_pairs(FEATURES), rel=1e-12)
    assert mean_pairwise_distance(FEATURES[:2]).value == pytest.approx(over_pairs(FEATURES[:2]), rel=1e-12)
    assert mean_pairwise_distance(np.repeat(FEATURES[:1], 4, axis=0)).value == 0


def test_the_standard_error_is_the_jackknife_of_pairs() -> None:
    without = np.array([over_pairs(np.delete(FEATURES, i, axis=0)) for i in range(13)])
    expected = np.sqrt(12 / 13 * np.square(without - without.mean()).sum())
    assert mean_pairwise_distance(FEATURES).stderr == pytest.approx(expected, rel=1e-10)
    assert mean_pairwise_distance(FEATURES[:2]).stderr is None


def test_the_standard_error_is_the_spread_over_draws() -> None:
    # 400 sets of 30 Gaussian images: their values' own deviation, known to 3.5 %; the mean of 2·tr Σ = 40 is unbiased.
    found = [mean_pairwise_distance(np.random.default_rng(seed).standard_normal((30, 20))) for seed in range(400)]
    spread = np.std([f.value for f in found], ddof=1)
    assert np.mean([f.value for f in found]) == pytest.approx(40, abs=4 * spread / 20)
    assert np.mean([f.stderr for f in found]) == pytest.approx(spread, rel=0.15)


def test_one_image_has_no_pairs() -> None:
    with pytest.raises(FeatureError, match="at least 2 are needed"):
        mean_pairwise_distance(FEATURES[:1])


def test_lpips_diversity_needs_no_reference() -> None:
    metric = parse("lpips-diversity")
    measured = measure(metric, FEATURES)
    assert (measured.value, measured.n, measured.n_reference) == (pytest.approx(over_pairs(FEATURES)), 13, 0)
