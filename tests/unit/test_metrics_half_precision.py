import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics import half_precision
from genbench.metrics.half_precision import half_precision_inside
from genbench.metrics.neighbours import neighbourhoods

RNG = np.random.default_rng(0)


def pooled(n: int, d: int = 64, scale: float = 1.0) -> np.ndarray:
    """Non-negative features with squared distances near 300, as pool3's."""
    return (np.abs(RNG.standard_normal((n, d))) * 2.2 * scale).astype(np.float32)


def half_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(|x|² - 2x·y) + |y|², step by step in NumPy's float16, sums over features in float32."""
    x, y = x.astype(np.float16), y.astype(np.float16)
    norms = [np.square(side).astype(np.float32).sum(axis=1).astype(np.float16) for side in (x, y)]
    products = (x.astype(np.float32) @ y.astype(np.float32).T).astype(np.float16)
    return np.maximum((norms[0][:, None] - np.float16(2) * products) + norms[1], np.float16(0))


@pytest.mark.parametrize("block_bytes", [2**25, 4000])
def test_every_step_is_rounded_to_half(monkeypatch: pytest.MonkeyPatch, block_bytes: int) -> None:
    monkeypatch.setattr(half_precision, "_BLOCK_BYTES", block_bytes)
    x, y = pooled(120, scale=0.9), pooled(150)
    found = half_precision_inside(x, y)
    radii = [np.sort(half_distances(side, side), axis=1)[:, 3] for side in (x, y)]
    # In guided-diffusion's evaluator at 22e0df8 the reference is the first batch: its norm is added first.
    across = half_distances(y, x)
    # Sums of 64 float32 terms may round to the next float16 where orders of summation differ.
    assert (found.generated_inside != (across <= radii[1][:, None]).any(axis=0)).sum() <= 1
    assert (found.reference_inside != (across <= radii[0]).any(axis=1)).sum() <= 1


def test_the_norm_of_the_reference_is_added_first() -> None:
    # Four points a side, found by search: in the other order a distance rounds to the other side of a radius.
    x = np.array([[10.125, 9], [10.125, 10.625], [11, 11.25], [8.375, 7.875]], np.float32)
    y = np.array([[13, 12], [11.875, 10.875], [12, 11.375], [11.75, 11]], np.float32)
    assert half_precision_inside(x, y).generated_inside.tolist() == [False, False, True, False]
    x = np.array([[10.125, 11.375], [8.625, 9.625], [9.75, 10.875], [10.375, 10.125]], np.float32)
    y = np.array([[7.5, 10.75], [11.625, 7.875], [9.125, 13.5], [5.5, 11.25]], np.float32)
    assert half_precision_inside(x, y).reference_inside.tolist() == [True, False, True, False]


def test_ties_of_half_precision_let_more_in() -> None:
    x, y = pooled(1500, 200, 0.9), pooled(1500, 200)
    half, exact = half_precision_inside(x, y), neighbourhoods(x, y)
    assert half.generated_inside.mean() > exact.generated_inside.mean()
    assert half.generated_inside.mean() == pytest.approx(exact.generated_inside.mean(), abs=0.02)


def test_distances_beyond_half_are_computed_in_float32() -> None:
    x, y = pooled(60, scale=200), pooled(70, scale=200)
    exact = neighbourhoods(x, y)
    found = half_precision_inside(x, y)
    np.testing.assert_array_equal(found.generated_inside, exact.generated_inside)
    np.testing.assert_array_equal(found.reference_inside, exact.reference_inside)


def test_bad_input_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"3 image\(s\) have no neighbour number 3"):
        half_precision_inside(pooled(3), pooled(9))
    with pytest.raises(FeatureError, match="63 wide"):
        half_precision_inside(pooled(9, 63), pooled(9))
