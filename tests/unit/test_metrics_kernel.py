import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics import kernel
from genbench.metrics.kernel import kernel_distance, kernel_distance_of_subsets

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((60, 7)) * 1.2).astype(np.float32)
Y = RNG.standard_normal((45, 7)).astype(np.float32)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """The estimator of Bińkowski et al. 2018, equation 4, pair by pair in Python floats."""

    def k(a: np.ndarray, b: np.ndarray) -> float:
        return (sum(float(p) * float(q) for p, q in zip(a, b, strict=True)) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


@pytest.mark.parametrize("tile", [1024, 16, 1])
def test_tiles_of_any_size_give_the_double_loop(monkeypatch: pytest.MonkeyPatch, tile: int) -> None:
    monkeypatch.setattr(kernel, "_TILE", tile)
    assert kernel_distance(X, Y).value == pytest.approx(by_definition(X, Y), rel=1e-11)


def test_without_is_the_distance_with_an_image_left_out() -> None:
    without = kernel_distance(X, Y).without
    for left_out in (0, 31, 59):
        assert without[left_out] == pytest.approx(kernel_distance(np.delete(X, left_out, axis=0), Y).value, rel=1e-10)


@pytest.mark.parametrize(("scale", "low", "high"), [(1.3, 0.8, 1.25), (1.0, 0.9, 1.7)])
def test_the_standard_error_is_the_spread_over_draws(scale: float, low: float, high: float) -> None:
    # At scale 1 both sides are one distribution: the first-order term vanishes and the jackknife errs high (√2 at most
    # of the second-order part). 150 draws know a standard deviation to 6 %.
    reference = RNG.standard_normal((200, 5)).astype(np.float32)
    draws = [kernel_distance((RNG.standard_normal((150, 5)) * scale).astype(np.float32), reference) for _ in range(150)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    assert low < np.mean([draw.stderr for draw in draws]) / spread < high


def test_two_images_have_a_distance_but_no_standard_error() -> None:
    distance = kernel_distance(X[:2], Y)
    assert distance.value == pytest.approx(by_definition(X[:2], Y), rel=1e-11)
    assert distance.stderr is None


def test_images_all_alike_are_at_a_defined_distance() -> None:
    alike = np.ones((20, 4), np.float32)
    # k = (4/4 + 1)³ = 8 for every pair, so nothing is left.
    assert kernel_distance(alike, alike).value == pytest.approx(0, abs=1e-12)
    # k = 8 within, 1 within zeros, 1 across.
    assert kernel_distance(alike, alike * 0).value == pytest.approx(8 + 1 - 2)


def test_bad_input_is_refused() -> None:
    for x, y, message in (
        (X[:1], Y, "1 image"),
        (X, Y[:1], "1 image"),
        (X, Y[:, :3], "3 wide"),
        (X * np.nan, Y, "NaN"),
    ):
        with pytest.raises(FeatureError, match=message):
            kernel_distance(x, y)


def test_subsets_of_everything_are_the_distance_itself() -> None:
    found = kernel_distance_of_subsets(X[:45], Y, subsets=3, size=45)
    assert found.subsets == pytest.approx([by_definition(X[:45], Y)] * 3, rel=1e-10)
    assert found.spread == pytest.approx(0, abs=1e-12)


def test_fewer_images_than_a_subset_are_refused() -> None:
    with pytest.raises(FeatureError, match=r"generated features: 60 image\(s\), at least 1000 are needed"):
        kernel_distance_of_subsets(X, Y)


def test_products_in_float32_move_the_distance_by_far_less_than_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # The values in float64 are the expected ones; `by_definition` checks those above.
    x, y = (np.abs(RNG.standard_normal((n, 96)) * scale).astype(np.float32) for n, scale in ((700, 1.05), (600, 1)))
    exact = kernel_distance(x, y)
    monkeypatch.setattr(kernel, "_MANY_PAIRS", 0)
    found = kernel_distance(x, y)
    assert 0 < abs(found.value - exact.value) < 1e-5 * exact.stderr
    assert found.without == pytest.approx(exact.without, rel=1e-6)
    assert found.stderr == pytest.approx(exact.stderr, rel=1e-5)


def test_features_far_from_zero_lose_nothing_of_a_small_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    # Means of 10 and spreads of 0.01: kernels of a million, of which float32 would keep nothing of the distance.
    monkeypatch.setattr(kernel, "_MANY_PAIRS", 0)
    near_ten = [side.astype(np.float64) * 0.01 + 10 for side in (X, Y)]
    assert kernel_distance(*near_ten).value == pytest.approx(by_definition(*near_ten), rel=1e-4)
