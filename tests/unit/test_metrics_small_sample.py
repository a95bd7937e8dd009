import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics.frechet import frechet_distance, frechet_value
from genbench.metrics.moments import Moments
from genbench.metrics.reference import Reference
from genbench.metrics.small_sample import (
    FrechetJackknife,
    frechet_difference,
    frechet_extrapolation,
    frechet_jackknife,
)

RNG = np.random.default_rng(0)


def sigma(d: int) -> np.ndarray:
    return np.arange(1, d + 1) ** -0.5


def known(d: int) -> Reference:
    """The Gaussian itself: a reference of so many images that its own error is nothing."""
    return Reference("toy", "", 10**9, np.zeros(d), np.diag(sigma(d) ** 2))


def true_distance(d: int, scale: float, shift: float) -> float:
    # For diagonal covariances FD = |shift|² + Σ (σ - σr)² (Dowson & Landau 1982).
    return d * shift**2 + float(np.square(sigma(d) * (scale - 1)).sum())


@pytest.mark.parametrize("n", [100, 30, 12])
def test_the_value_alone_is_that_of_the_distance_with_everything(n: int) -> None:
    features, reference = RNG.standard_normal((n, 30)) * 1.2, Moments.from_features(RNG.standard_normal((200, 30)))
    assert frechet_value(features, reference) == pytest.approx(frechet_distance(features, reference).value, rel=1e-9)


def test_both_estimates_take_away_the_bias() -> None:
    d, n = 16, 400
    truth = true_distance(d, 1.1, 0.05)
    draws = [RNG.standard_normal((n, d)) * sigma(d) * 1.1 + 0.05 for _ in range(25)]
    raw = np.mean([frechet_value(draw, known(d)) for draw in draws])
    corrected = np.mean([frechet_jackknife(draw, known(d), blocks=10).corrected for draw in draws])
    extrapolated = np.mean([frechet_extrapolation(draw, known(d)).value for draw in draws])
    assert raw - truth > 0.02
    assert abs(corrected - truth) < 0.006
    assert abs(extrapolated - truth) < 0.012


def test_extrapolation_is_the_intercept_of_its_own_points_and_repeats() -> None:
    features = RNG.standard_normal((300, 6)) * 1.2
    found = frechet_extrapolation(features, known(6))
    assert found.sizes[0] == 30
    assert found.sizes[-1] == 300
    assert len(found.sizes) == 15
    # Normal equations of a line through (1/n, FD).
    x = 1 / np.array(found.sizes)
    slope = ((x - x.mean()) * found.distances).sum() / np.square(x - x.mean()).sum()
    assert found.slope == pytest.approx(slope, rel=1e-9)
    assert found.value == pytest.approx(found.distances.mean() - slope * x.mean(), rel=1e-9)
    assert frechet_extrapolation(features, known(6)).value == found.value
    assert found.distances[-1] == pytest.approx(frechet_value(features, known(6)), rel=1e-9)


def test_blocks_left_out_are_distances_of_the_other_images() -> None:
    features = RNG.standard_normal((90, 5)).astype(np.float32) * 1.2
    found = frechet_jackknife(features, known(5), blocks=4)
    order = np.random.RandomState(2020).permutation(90)
    parts = np.array_split(order, 4)
    expected = [frechet_value(np.delete(features, part, axis=0), known(5)) for part in parts]
    np.testing.assert_allclose(found.without, expected, rtol=1e-10)
    assert found.corrected == pytest.approx(4 * found.value - 3 * np.mean(expected), rel=1e-9)


def test_images_sorted_by_class_have_the_same_standard_error() -> None:
    # Blocks in file order would be one class each, and the standard error many times too large.
    classes = np.repeat(np.arange(20), 50)
    features = RNG.standard_normal((1000, 4)) + 3 * np.stack([np.cos(classes), np.sin(classes)] * 2, axis=1)
    reference = Moments.from_features(features * 1.1)
    by_class, mixed = (frechet_jackknife(x, reference) for x in (features, RNG.permutation(features)))
    assert by_class.stderr == pytest.approx(mixed.stderr, rel=0.6)


def test_a_paired_difference_leaves_out_what_both_share() -> None:
    shared = RNG.standard_normal((2000, 8))
    one = frechet_jackknife(shared * 1.2, known(8))
    other = frechet_jackknife(shared * 1.2 + RNG.standard_normal((2000, 8)) * 0.05, known(8))
    paired, apart = (frechet_difference(one, other, paired=paired) for paired in (True, False))
    assert paired.value == apart.value == one.corrected - other.corrected
    assert paired.stderr < 0.3 * apart.stderr
    assert apart.stderr == pytest.approx(np.hypot(one.stderr, other.stderr))


def coverage(d: int, n: int, scale: float, shift: float, repeats: int) -> tuple[float, float, float]:
    """How often ±1.96 standard errors hold the truth: corrected FD; paired and independent difference of two."""
    truths = true_distance(d, scale, shift), true_distance(d, scale + 0.03, shift)
    held = []
    for _ in range(repeats):
        z, noise, other = RNG.standard_normal((3, n, d))
        one = frechet_jackknife(z * sigma(d) * scale + shift, known(d))
        two = [
            frechet_jackknife(drawn * sigma(d) * (scale + 0.03) + shift, known(d))
            for drawn in (0.7 * z + 0.51**0.5 * noise, other)
        ]
        differences = [frechet_difference(one, two[0], paired=True), frechet_difference(one, two[1], paired=False)]
        errors = [one.corrected - truths[0], *(found.value - truths[0] + truths[1] for found in differences)]
        stderrs = [one.stderr, *(found.stderr for found in differences)]
        held.append([abs(error) < 1.96 * stderr for error, stderr in zip(errors, stderrs, strict=True)])
    return tuple(np.mean(held, axis=0).tolist())


@pytest.mark.slow
@pytest.mark.parametrize(("d", "n"), [(8, 2000), (32, 2000), (32, 500), (64, 640)])
def test_nominal_95_percent_intervals_cover_where_n_is_10d_or_more_and_the_sets_differ(d: int, n: int) -> None:
    # 300 draws know a share of 95 % to 1.3 %.
    for share in coverage(d, n, 1.15, 0.05, 300):
        assert 0.90 <= share <= 0.98


@pytest.mark.slow
def test_intervals_are_too_wide_where_both_sets_are_alike() -> None:
    # The first-order term vanishes, and the jackknife errs high: what docs/error-bars.md says.
    for share in coverage(32, 2000, 1.0, 0.0, 100):
        assert share >= 0.95


@pytest.mark.slow
def test_intervals_fail_where_n_is_near_d() -> None:
    # At n = 2d a bias of order 1/n² is left, of one standard error: what docs/error-bars.md says.
    assert coverage(64, 128, 1.15, 0.05, 200)[0] < 0.90


def test_too_few_images_are_refused() -> None:
    with pytest.raises(FeatureError, match="40 images of 39 features are too few") as caught:
        frechet_jackknife(RNG.standard_normal((40, 39)), known(39))
    assert caught.value.hint == "give more than 41 images, or take fd"
    for blocks in (-1, 0, 1):
        with pytest.raises(FeatureError, match=rf"a jackknife of {blocks} block\(s\) is not defined"):
            frechet_jackknife(RNG.standard_normal((40, 3)), known(3), blocks=blocks)
    with pytest.raises(FeatureError, match=r"19 image\(s\), at least 20 are needed"):
        frechet_extrapolation(RNG.standard_normal((19, 3)), known(3))
    with pytest.raises(FeatureError, match="2 and 3 blocks"):
        frechet_difference(FrechetJackknife(1, 1, 1, np.ones(2)), FrechetJackknife(1, 1, 1, np.ones(3)), paired=True)
    with pytest.raises(FeatureError, match="no part of"):
        Moments.from_features(np.ones((3, 2))) - Moments.from_features(np.ones((3, 2)))
