import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genbench.errors import FeatureError
from genbench.metrics.frechet import frechet_distance_of_moments
from genbench.metrics.moments import Moments

RNG = np.random.default_rng(0)
FEATURES = (RNG.standard_normal((300, 12)) * np.arange(1, 13) + 5).astype(np.float32)
REFERENCE = Moments.from_features(RNG.standard_normal((200, 12)).astype(np.float32))


def test_moments_are_those_of_numpy() -> None:
    moments = Moments.from_features(FEATURES)
    assert moments.n == 300
    np.testing.assert_allclose(moments.mean, FEATURES.astype(np.float64).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(moments.cov, np.cov(FEATURES.astype(np.float64), rowvar=False), rtol=1e-12, atol=1e-13)


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    far = FEATURES.astype(np.float64) + 1e6
    whole = Moments.from_features(far)
    centred = far - far.mean(axis=0)
    np.testing.assert_allclose(whole.cov, centred.T @ centred / 299, rtol=1e-11, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 299), max_size=8, unique=True), st.randoms(use_true_random=False))
def test_any_split_in_any_order_gives_the_same_distance(cuts: list[int], random) -> None:
    shards = [Moments.from_features(shard) for shard in np.split(FEATURES, sorted(cuts))]
    random.shuffle(shards)
    merged = shards[0]
    for shard in shards[1:]:
        merged = merged + shard
    whole = frechet_distance_of_moments(Moments.from_features(FEATURES), REFERENCE)
    assert merged.n == 300
    assert frechet_distance_of_moments(merged, REFERENCE) == pytest.approx(whole, rel=1e-12)


def test_the_factor_has_the_rank_that_n_images_can_give() -> None:
    few = Moments.from_features(FEATURES[:6])
    assert few.factor.shape == (12, 5)
    np.testing.assert_allclose(few.factor @ few.factor.T, few.cov, atol=1e-11)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (FEATURES[:0], "0 image"),
        (FEATURES[0], "shape"),
        (FEATURES.astype(np.float16), "float16"),
        (np.where(np.arange(300)[:, None] == 7, np.nan, FEATURES), "row 7"),
        (np.where(np.arange(300)[:, None] == 299, np.inf, FEATURES), "row 299"),
    ],
)
def test_what_has_no_moments_is_refused(features, message: str) -> None:
    with pytest.raises(FeatureError, match=message) as caught:
        Moments.from_features(features)
    assert caught.value.hint


def test_one_image_has_no_covariance_but_merges() -> None:
    first, rest = Moments.from_features(FEATURES[:1]), Moments.from_features(FEATURES[1:])
    with pytest.raises(FeatureError, match="1 image"):
        _ = first.cov
    np.testing.assert_allclose((first + rest).cov, Moments.from_features(FEATURES).cov, rtol=1e-11, atol=1e-12)


def test_moments_of_two_widths_do_not_merge() -> None:
    with pytest.raises(FeatureError, match="12-wide and of 5-wide"):
        Moments.from_features(FEATURES) + Moments.from_features(FEATURES[:, :5])
