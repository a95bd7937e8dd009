import numpy as np
import pytest
import torch

from genbench.errors import FeatureError
from genbench.metrics import neighbours
from genbench.metrics.balls import IMPROVED, PRDC, Balls
from genbench.metrics.comparison import Comparison
from genbench.metrics.neighbours import nearest, neighbourhoods, sweep
from genbench.metrics.precision_recall import measure_coverage, measure_density, proportion_stderr, recall_stderr
from genbench.metrics.reference import Reference

RNG = np.random.default_rng(0)


def squares(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Every Σ(x - y)² in float64 from the differences themselves: O(N·M·d) memory, so for small sets only."""
    return np.square(x.astype(np.float64)[:, None] - y.astype(np.float64)[None]).sum(axis=-1)


def by_definition(x: np.ndarray, y: np.ndarray, k: int, strict: bool) -> tuple[np.ndarray, np.ndarray]:
    def radii(points: np.ndarray) -> np.ndarray:
        among = squares(points, points)
        np.fill_diagonal(among, np.inf)
        return np.sort(among, axis=1)[:, k - 1]

    across, less = squares(x, y), np.less if strict else np.less_equal
    return less(across, radii(y)).any(axis=1), less(across, radii(x)[:, None]).any(axis=0)


def clouds(kind: str) -> tuple[np.ndarray, np.ndarray]:
    x, y = RNG.standard_normal((90, 12)) * 0.8, RNG.standard_normal((110, 12))
    match kind:
        case "far from zero":
            x, y = x + 3e3, y + 3e3
        case "near-duplicates":
            x, y = y[:90] + 1e-6 * RNG.standard_normal((90, 12)), np.repeat(y[:11], 10, axis=0)
            y = y + 1e-6 * RNG.standard_normal(y.shape)
        case "tight clusters far apart":
            x, y = 1e-3 * x + 100 * (RNG.integers(0, 3, (90, 1))), 1e-3 * y + 100 * (RNG.integers(0, 3, (110, 1)))
        case "shared points":
            x = np.concatenate([y[:60], x[60:]])
        case "lattice":
            x, y = RNG.integers(0, 3, (90, 4)), RNG.integers(0, 3, (110, 4))
        case "duplicates":
            x, y = np.repeat(x[:30], 3, axis=0), np.repeat(y[:22], 5, axis=0)
        case "all alike":
            x, y = np.ones((20, 3)), np.ones((30, 3))
    return x.astype(np.float32), y.astype(np.float32)


KINDS = [
    "plain",
    "far from zero",
    "near-duplicates",
    "tight clusters far apart",
    "shared points",
    "lattice",
    "duplicates",
    "all alike",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("k", "strict"), [(3, False), (5, True), (1, False), (3, True)])
def test_every_point_is_inside_exactly_when_float64_differences_say_so(kind: str, k: int, strict: bool) -> None:
    x, y = clouds(kind)
    found = neighbourhoods(x, y, k=k, strict=strict)
    generated_inside, reference_inside = by_definition(x, y, k, strict)
    np.testing.assert_array_equal(found.generated_inside, generated_inside)
    np.testing.assert_array_equal(found.reference_inside, reference_inside)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("balls", [IMPROVED, PRDC])
def test_density_and_coverage_are_those_of_float64_differences(kind: str, balls: Balls) -> None:
    x, y = clouds(kind)
    found = sweep(x, y, [IMPROVED, PRDC])[balls]
    among, across = squares(y, y), squares(x, y)
    np.fill_diagonal(among, np.inf)
    inside = (np.less if balls.strict else np.less_equal)(across, np.sort(among, axis=1)[:, balls.k - 1])
    np.testing.assert_array_equal(found.balls_around, inside.sum(axis=1))
    np.testing.assert_array_equal(found.covered, inside.any(axis=0))


def test_forms_swept_together_are_the_forms_swept_alone() -> None:
    x, y = clouds("shared points")
    for balls, found in sweep(x, y, [IMPROVED, PRDC]).items():
        for left, right in zip(found, neighbourhoods(x, y, k=balls.k, strict=balls.strict), strict=True):
            np.testing.assert_array_equal(left, right)


def test_coverage_without_is_coverage_with_an_image_left_out() -> None:
    x, y = clouds("plain")
    without = sweep(x, y, [PRDC])[PRDC].coverage_without
    expected = [sweep(np.delete(x, i, axis=0), y, [PRDC])[PRDC].covered.mean() for i in range(len(x))]
    np.testing.assert_allclose(without, expected, atol=1e-12)


def test_the_standard_errors_of_density_and_coverage_are_near_the_spread_over_draws() -> None:
    # 100 draws know a standard deviation to 7 %; the jackknife of coverage errs high.
    y = RNG.standard_normal((150, 6)).astype(np.float32)
    reference = Reference.from_features(y, space="toy", space_digest="")
    draws = [Comparison((RNG.standard_normal((120, 6)) * 0.9).astype(np.float32), reference) for _ in range(100)]
    for function, high in ((measure_density, 1.25), (measure_coverage, 1.5)):
        measured = [function(draw) for draw in draws]
        spread = np.std([m.value for m in measured], ddof=1)
        assert 0.8 < np.mean([m.stderr for m in measured]) / spread < high


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_neighbours_are_exact(kind: str) -> None:
    points, _ = clouds(kind)
    among = squares(points, points)
    np.fill_diagonal(among, np.inf)
    found = nearest(points, 4)
    np.testing.assert_array_equal(found.squares, np.sort(among, axis=1)[:, :4])
    np.testing.assert_array_equal(np.take_along_axis(among, found.indices, axis=1), found.squares)


def test_blocks_and_product_types_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = clouds("shared points")
    whole = neighbourhoods(x, y)
    monkeypatch.setattr(neighbours, "_BLOCK_BYTES", 4000)
    for dtypes in ((torch.float32, torch.float64), (torch.float64,), (torch.float32,)):
        monkeypatch.setattr(neighbours, "_dtypes", lambda device, dtypes=dtypes: dtypes)
        for found, expected in zip(neighbourhoods(x, y), whole, strict=True):
            np.testing.assert_array_equal(found, expected)


def test_float32_products_are_not_used_where_they_would_be_something_less() -> None:
    assert neighbours._dtypes("cpu") == (torch.float32, torch.float64)
    assert neighbours._dtypes("cuda") == (torch.float64,)
    try:
        torch.set_float32_matmul_precision("medium")
        assert neighbours._dtypes("cpu") == (torch.float64,)
    finally:
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("kind", ["plain", "near-duplicates"])
def test_recall_without_is_recall_with_an_image_left_out(kind: str) -> None:
    x, y = clouds(kind)
    without = neighbourhoods(x, y).recall_without
    expected = [neighbourhoods(np.delete(x, i, axis=0), y).reference_inside.mean() for i in range(len(x))]
    # Near-duplicates sit on surfaces that float32 products cannot tell apart; this feeds a standard error only.
    np.testing.assert_allclose(without, expected, atol=1e-12 if kind == "plain" else 0.02)


def spread_and_stderr(d: int, n: int, m: int, repeats: int) -> tuple[float, float]:
    y = RNG.standard_normal((m, d)).astype(np.float32)
    draws = [neighbourhoods((RNG.standard_normal((n, d)) * 0.85).astype(np.float32), y) for _ in range(repeats)]
    spread = float(np.std([draw.reference_inside.mean() for draw in draws], ddof=1))
    return spread, float(np.mean([recall_stderr(draw) for draw in draws]))


@pytest.mark.parametrize(("d", "n", "m"), [(8, 100, 400), (4, 300, 100)])
def test_the_standard_error_of_recall_errs_high_and_by_no_more_than_stated(d: int, n: int, m: int) -> None:
    # Bounds from the simulation in the docstring of `recall_stderr`; 80 draws know a standard deviation to 8 %.
    spread, stderr = spread_and_stderr(d, n, m, 80)
    assert 1.0 < stderr / spread < 2.3


def test_the_standard_error_of_precision_is_the_spread_over_draws() -> None:
    y = RNG.standard_normal((200, 6)).astype(np.float32)
    draws = [
        neighbourhoods((RNG.standard_normal((150, 6)) * 1.2).astype(np.float32), y).generated_inside for _ in range(150)
    ]
    spread = np.std([draw.mean() for draw in draws], ddof=1)
    assert np.mean([proportion_stderr(draw) for draw in draws]) == pytest.approx(spread, rel=0.2)


def test_a_proportion_of_all_or_none_is_not_certain() -> None:
    # Jeffreys posterior Beta(10.5, 0.5): variance 10.5·0.5 / (11² · 12).
    assert proportion_stderr(np.ones(10, np.bool_)) == pytest.approx((10.5 * 0.5 / (121 * 12)) ** 0.5)
    assert proportion_stderr(np.zeros(10, np.bool_)) == proportion_stderr(np.ones(10, np.bool_))


def test_as_few_images_as_k_allows() -> None:
    x, y = clouds("plain")
    found = neighbourhoods(x[:4], y, k=3)
    assert found.recall_without is None
    assert recall_stderr(found) is None
    np.testing.assert_array_equal(found.reference_inside, by_definition(x[:4], y, 3, strict=False)[1])


@pytest.mark.parametrize(("n", "m", "k"), [(3, 50, 3), (50, 3, 3), (50, 50, 0), (0, 50, 3)])
def test_fewer_images_than_neighbours_are_refused(n: int, m: int, k: int) -> None:
    x, y = clouds("plain")
    with pytest.raises(FeatureError) as caught:
        neighbourhoods(x[:n], y[:m], k=k)
    assert caught.value.hint


def test_bad_input_is_refused() -> None:
    x, y = clouds("plain")
    with pytest.raises(FeatureError, match="wide"):
        neighbourhoods(x, y[:, :5])
    with pytest.raises(FeatureError, match="reference features: NaN or infinity in row 0"):
        neighbourhoods(x, y * np.float32(np.nan))
