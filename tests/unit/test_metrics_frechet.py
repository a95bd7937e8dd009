import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics import frechet
from genbench.metrics.frechet import frechet_distance, frechet_distance_of_moments, frechet_value
from genbench.metrics.moments import Moments
from genbench.metrics.reference import Reference

RNG = np.random.default_rng(0)


def gaussian(n: int, d: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
    spectrum = np.arange(1, d + 1) ** -0.5
    return (RNG.standard_normal((n, d)) * spectrum * scale + shift).astype(np.float32)


@pytest.mark.parametrize("n", [500, 40, 20])
def test_low_rank_and_full_forms_agree(n: int) -> None:
    generated, reference = gaussian(n, 40, 1.2), Moments.from_features(gaussian(300, 40))
    by_features = frechet_distance(generated, reference)
    by_moments = frechet_distance_of_moments(Moments.from_features(generated), reference)
    assert by_features.value == pytest.approx(by_moments, rel=1e-9)
    assert by_features.value == by_features.mean_term + by_features.covariance_term


@pytest.mark.parametrize(("n", "n_reference"), [(400, 100), (100, 400), (400, 400), (600, 100)])
def test_fewer_images_than_features_on_both_sides_give_the_exact_distance(n: int, n_reference: int) -> None:
    x, y = gaussian(n, 512, 1.2, 0.1), gaussian(n_reference, 512)
    # tr (Σr^½ Σ Σr^½)^½ is the nuclear norm of the product of both sides' centred images, over the roots of n - 1.
    centred = [(side - side.mean(axis=0, dtype=np.float64)) / (len(side) - 1) ** 0.5 for side in (x, y)]
    shift = x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)
    traces = sum(float(np.square(side).sum()) for side in centred)
    exact = shift @ shift + traces - 2 * np.linalg.norm(centred[0] @ centred[1].T, "nuc")
    reference = Moments.from_features(y)
    assert frechet_distance(x, reference).value == pytest.approx(exact, rel=1e-11)
    assert frechet_value(x, reference) == pytest.approx(exact, rel=1e-11)
    assert frechet_distance_of_moments(Moments.from_features(x), reference) == pytest.approx(exact, rel=1e-11)


@pytest.mark.parametrize("strip", [1, 4, 11, 256])
def test_strips_of_any_width_give_the_distance_by_definition(monkeypatch: pytest.MonkeyPatch, strip: int) -> None:
    monkeypatch.setattr(frechet, "_STRIP", strip)
    x, y = Moments.from_features(gaussian(300, 11, 1.3, 0.2)), Moments.from_features(gaussian(200, 11))
    # Heusel et al. 2017: tr (Σ Σr)^½ is the sum of roots of the product's eigenvalues, which are real.
    roots = np.sqrt(np.linalg.eigvals(x.cov @ y.cov).real).sum()
    expected = np.square(x.mean - y.mean).sum() + np.trace(x.cov) + np.trace(y.cov) - 2 * roots
    assert frechet_distance_of_moments(x, y) == pytest.approx(expected, rel=1e-10)


def test_commuting_covariances_have_the_textbook_distance() -> None:
    # For diagonal covariances FD = |shift|² + Σ (σ - σr)² (Dowson & Landau 1982).
    sigma, sigma_reference, shift = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5]), np.array([1.0, 0.0, -2.0])
    generated = Moments(10, shift, np.diag(sigma**2) * 9)
    reference = Moments(10, np.zeros(3), np.diag(sigma_reference**2) * 9)
    assert frechet_distance_of_moments(generated, reference) == pytest.approx(5 + 1 + 0 + 6.25, rel=1e-14)


@pytest.mark.parametrize(("n", "d"), [(300, 20), (100, 100), (30, 200)])
def test_identical_sets_are_at_distance_zero(n: int, d: int) -> None:
    same = gaussian(n, d, shift=3)
    distance = frechet_distance(same, Moments.from_features(same))
    assert 0 <= distance.value < 1e-8
    assert 0 <= frechet_distance_of_moments(Moments.from_features(same), Moments.from_features(same)) < 1e-8


def test_images_all_alike_are_at_a_defined_distance() -> None:
    spread, alike = gaussian(200, 8), np.ones((50, 8), np.float32)
    moments = Moments.from_features(spread)
    expected = float(np.square(1 - moments.mean).sum() + np.trace(moments.cov))
    assert frechet_distance(alike, moments).value == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(alike, moments).stderr == pytest.approx(0, abs=1e-12)
    assert frechet_distance(spread, Moments.from_features(alike)).value == pytest.approx(expected, rel=1e-12)
    assert frechet_distance(alike, Moments.from_features(alike)).value == 0


@pytest.mark.parametrize(("n", "d"), [(200, 6), (12, 30)])
def test_influence_is_the_derivative_by_an_images_weight(n: int, d: int) -> None:
    generated, reference = gaussian(n, d, 1.3, 0.2), Moments.from_features(gaussian(300, d))
    influence = frechet_distance(generated, reference).influence
    x = generated.astype(np.float64)

    def reweighted(image: int, step: float) -> float:
        weights = np.full(n, (1 - step) / n)
        weights[image] += step
        mean = weights @ x
        # Scaled so that at equal weights it is the covariance divided by n - 1.
        scatter = (x - mean).T @ ((x - mean) * weights[:, None]) * n
        return frechet_distance_of_moments(Moments(n, mean, scatter), reference)

    for image in range(0, n, n // 4):
        slope = (reweighted(image, 1e-5) - reweighted(image, -1e-5)) / 2e-5
        # d/dstep of n/(n-1) times the weighted covariance: the quadratic part is scaled, the linear one is not.
        x_c = x[image] - x.mean(axis=0)
        linear = 2 * (x.mean(axis=0) - reference.mean) @ x_c
        assert (slope - linear) * (n - 1) / n + linear == pytest.approx(influence[image], rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(("n", "d"), [(200, 6), (12, 30)])
def test_influences_add_up_to_nothing(n: int, d: int) -> None:
    influence = frechet_distance(gaussian(n, d, 1.3), Moments.from_features(gaussian(300, d))).influence
    assert influence.shape == (n,)
    assert influence.sum() == pytest.approx(0, abs=1e-9 * np.abs(influence).sum())


def spread_and_stderr(n: int, d: int, repeats: int) -> tuple[float, float, float]:
    """Standard deviation of FD over draws, its mean standard error, and how often ±1.96 of it covers FD's own mean."""
    reference = Reference("toy", "", 10**9, np.zeros(d), np.diag(np.arange(1, d + 1) ** -1.0))
    draws = [frechet_distance(gaussian(n, d, 1.15, 0.05), reference) for _ in range(repeats)]
    values, errors = np.array([draw.value for draw in draws]), np.array([draw.stderr for draw in draws])
    covered = np.abs(values - values.mean()) < 1.96 * errors
    return float(values.std(ddof=1)), float(errors.mean()), float(covered.mean())


def test_the_standard_error_is_the_spread_over_draws() -> None:
    # 150 draws know a standard deviation to 6 %; the bounds are three times that.
    spread, stderr, _ = spread_and_stderr(500, 4, 150)
    assert stderr == pytest.approx(spread, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("n", "d"), [(4000, 4), (5000, 64), (1000, 64), (256, 512)])
def test_the_standard_error_covers_in_simulation(n: int, d: int) -> None:
    # Of FD's own mean at this n: its distance from the limit n → ∞ is the bias, which no standard error holds.
    spread, stderr, covered = spread_and_stderr(n, d, 200)
    assert stderr == pytest.approx(spread, rel=0.25)
    assert 0.90 <= covered <= 0.995


def test_bad_input_is_refused() -> None:
    reference = Moments.from_features(gaussian(50, 5))
    with pytest.raises(FeatureError, match="1 image"):
        frechet_distance(gaussian(1, 5), reference)
    with pytest.raises(FeatureError, match="features are 6 wide, the reference is 5 wide"):
        frechet_distance(gaussian(9, 6), reference)
    with pytest.raises(FeatureError, match="NaN or infinity in row 0"):
        frechet_distance(gaussian(9, 5) * np.float32(np.inf), reference)
