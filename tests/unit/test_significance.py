"""Verdicts on differences; expected values by hand from the normal quantile 2.5758 of a 99 % interval."""

from __future__ import annotations

import random

import pytest

from genbench.comparisons.significance import (
    Difference,
    Direction,
    Judgement,
    Verdict,
    is_significant,
    judge,
    practical_margin,
    quantile,
)


def test_quantiles_of_the_normal_distribution() -> None:
    # Tables of the normal distribution.
    assert quantile(0.99) == pytest.approx(2.575829, abs=1e-6)
    assert quantile(0.95) == pytest.approx(1.959964, abs=1e-6)


@pytest.mark.parametrize(
    ("value", "stderr", "direction", "verdict"),
    [
        (3.0, 1.0, "lower", Verdict.WORSE),
        (3.0, 1.0, "higher", Verdict.BETTER),
        (-3.0, 1.0, "lower", Verdict.BETTER),
        (-3.0, 1.0, "higher", Verdict.WORSE),
        (2.5, 1.0, "lower", Verdict.INCONCLUSIVE),  # matters, and may be chance
        (1.5, 0.5, "lower", Verdict.INCONCLUSIVE),  # is real, and may or may not matter
        (0.5, 0.5, "lower", Verdict.SAME),  # within 2 however it turns out
        (1.5, 0.1, "lower", Verdict.SAME),  # is real, and does not matter
        (0.0, 0.0, "lower", Verdict.SAME),
        (9.0, None, "lower", Verdict.NO_ERROR_BAR),
    ],
)
def test_better_and_worse_are_real_and_matter(
    value: float, stderr: float | None, direction: Direction, verdict: Verdict
) -> None:
    assert judge(Difference(value, stderr, True), direction, margin=2.0, n=1000).verdict is verdict


@pytest.mark.parametrize("value", [2.5, 1.5, 0.3])
def test_the_images_needed_settle_the_same_difference(value: float) -> None:
    few = judge(Difference(value, 1.0, True), "lower", margin=2.0, n=1000)
    assert few.needed is not None
    for n, settled in [(few.needed, True), (few.needed - 2, False)]:
        shrunk = Difference(value, (1000 / n) ** 0.5, True)
        assert (judge(shrunk, "lower", margin=2.0, n=n).verdict is not Verdict.INCONCLUSIVE) is settled


def test_no_number_of_images_tells_a_difference_from_the_margin_that_it_equals() -> None:
    assert judge(Difference(2.0, 1.0, True), "lower", margin=2.0, n=10) == Judgement(Verdict.INCONCLUSIVE, None)


def test_equal_runs_are_told_apart_as_rarely_as_the_confidence_says() -> None:
    draw = random.Random(0)
    told = sum(is_significant(draw.gauss(0, 1), 1.0, 0.99) for _ in range(20_000))
    # 200 expected; five standard deviations of that count are 70.
    assert 130 < told < 270
    assert not is_significant(9.0, None)


def test_the_margin_is_relative() -> None:
    assert practical_margin(-20.0, 1.05) == pytest.approx(1.0)
