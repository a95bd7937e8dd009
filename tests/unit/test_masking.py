"""The cosine schedule of masked generation, by hand: floor(T·cos(π/2·share)), within what is masked now."""

import pytest

from genbench.methods.masking import masked_after


@pytest.mark.parametrize(
    ("iteration", "iterations", "masked", "left"),
    [
        (0, 20, 256, 255),  # 256·cos(4.5°) = 255.2
        (9, 20, 200, 181),  # 256·cos(45°) = 181.02
        (18, 20, 60, 20),  # 256·cos(85.5°) = 20.09
        (9, 20, 100, 99),  # always one fewer than now
        (19, 20, 20, 1),  # cos(90°) = 0, and always one
        (5, 20, 1, 1),
    ],
)
def test_the_schedule(iteration, iterations, masked, left):
    assert masked_after(iteration, iterations, masked, tokens=256) == left
