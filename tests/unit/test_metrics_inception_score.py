import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics.inception_score import inception_score, inception_score_in_order

RNG = np.random.default_rng(0)


def sure_of(classes: np.ndarray, count: int, confidence: float = 60.0) -> np.ndarray:
    """Logits (N, count) that leave no doubt about one class each."""
    return (np.eye(count)[classes] * confidence).astype(np.float32)


def by_definition(logits: np.ndarray) -> float:
    p = np.exp(logits.astype(np.float64))
    p /= p.sum(axis=1, keepdims=True)
    return float(np.exp((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean()))


def test_one_split_is_the_definition() -> None:
    logits = (RNG.standard_normal((50, 7)) * 2).astype(np.float32)
    assert inception_score(logits, splits=1).value == pytest.approx(by_definition(logits), rel=1e-12)
    assert inception_score_in_order(logits).value == pytest.approx(by_definition(logits), rel=1e-12)


def test_sure_and_balanced_scores_the_number_of_classes_and_unsure_scores_1() -> None:
    assert inception_score(sure_of(np.arange(5000) % 5, 5), splits=1).value == pytest.approx(5, rel=1e-9)
    assert inception_score(np.zeros((40, 5), np.float32)).value == pytest.approx(1, abs=1e-12)


def test_probabilities_that_underflow_count_for_nothing() -> None:
    # exp(-2000) is 0 in float64: 0·log 0 must not become NaN.
    assert inception_score(sure_of(np.arange(40) % 2, 3, 2000.0), splits=1).value == pytest.approx(2, rel=1e-12)


def test_files_sorted_by_class_mislead_the_file_order_form_only() -> None:
    classes = np.repeat(np.arange(10), 400)
    by_class, shuffled = sure_of(classes, 10), sure_of(RNG.permutation(classes), 10)
    # Chunks of 800 sorted images hold two classes each.
    assert inception_score_in_order(by_class, chunk=800).value == pytest.approx(2, rel=1e-6)
    assert inception_score_in_order(shuffled, chunk=800).value == pytest.approx(10, rel=0.02)
    assert inception_score(by_class).value == pytest.approx(inception_score(shuffled).value, rel=0.02)


def test_the_last_chunk_may_be_short() -> None:
    logits = (RNG.standard_normal((25, 4)) * 2).astype(np.float32)
    expected = np.mean([by_definition(logits[start : start + 10]) for start in (0, 10, 20)])
    assert inception_score_in_order(logits, chunk=10).value == pytest.approx(expected, rel=1e-12)


def test_the_standard_error_is_the_spread_over_draws() -> None:
    # 200 draws know a standard deviation to 5 %.
    draws = [inception_score((RNG.standard_normal((600, 6)) * 2).astype(np.float32), splits=3) for _ in range(200)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    assert np.mean([draw.stderr for draw in draws]) == pytest.approx(spread, rel=0.2)


def test_bad_input_is_refused() -> None:
    with pytest.raises(FeatureError, match=r"9 image\(s\) cannot be split into 10"):
        inception_score(np.zeros((9, 3), np.float32))
    with pytest.raises(FeatureError, match="NaN or infinity in row 1"):
        inception_score_in_order(np.array([[0.0, 1], [np.nan, 0]]))
    assert inception_score(np.zeros((10, 3), np.float32)).stderr is None
