import numpy as np
import pytest
import torch

from genbench.errors import ImageError
from genbench.images.quantise import to_uint8


def image(*values: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """One pixel row of grey with the given values, (1, 3, 1, W)."""
    return torch.tensor(values, dtype=dtype).expand(1, 3, 1, -1)


# By hand, from the rules' formulas: 127.5x + 128; (x+1)·127.5 + 0.5; (x+1)·127.5; each clamped, then truncated.
@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("round", [0, 0, 64, 128, 191, 255, 255]),
        ("half", [0, 0, 64, 128, 191, 255, 255]),
        ("truncate", [0, 0, 63, 127, 191, 255, 255]),
    ],
)
def test_rules_by_hand(rule, expected):
    x = image(-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5)
    assert to_uint8(x, rule)[0, 0, 0].tolist() == expected


def test_round_and_half_bring_back_every_uint8_value_and_truncate_need_not():
    values = torch.arange(256)
    x = (values / 127.5 - 1).expand(1, 3, 1, -1).float()
    assert torch.equal(to_uint8(x, "round")[0, 0, 0].long(), values)
    assert torch.equal(to_uint8(x, "half")[0, 0, 0].long(), values)
    below = values - to_uint8(x, "truncate")[0, 0, 0].long()
    assert set(below.tolist()) == {0, 1}


def test_rules_follow_the_float32_order_of_operations_of_their_papers():
    x = torch.empty(4, 3, 32, 32).uniform_(-1.2, 1.2, generator=torch.Generator().manual_seed(0))
    a = x.numpy()
    # numpy, float32 throughout: an independent evaluation of the same three expressions.
    one, scale, middle, bias = np.float32(1), np.float32(127.5), np.float32(0.5), np.float32(128)
    expected = {
        "round": scale * a + bias,
        "half": (a + one) * scale + middle,
        "truncate": (a + one) * scale,
    }
    for rule, floats in expected.items():
        np.testing.assert_array_equal(to_uint8(x, rule).numpy(), np.clip(floats, 0, 255).astype(np.uint8))


def test_half_precision_is_widened_before_it_is_scaled():
    x = torch.empty(2, 3, 16, 16).uniform_(-1, 1, generator=torch.Generator().manual_seed(1)).bfloat16()
    assert torch.equal(to_uint8(x, "round"), to_uint8(x.float(), "round"))


def test_the_input_is_left_alone():
    x = torch.full((1, 3, 2, 2), 2.0)
    to_uint8(x, "truncate")
    assert (x == 2).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite_are_an_error_that_names_the_image(bad):
    x = torch.zeros(3, 3, 2, 2)
    x[1, 2, 0, 0] = bad
    with pytest.raises(ImageError, match=r"1 of 3 .* index 1") as caught:
        to_uint8(x, "round")
    assert "diverged" in caught.value.hint


def test_what_is_not_a_float_image_batch_is_refused():
    with pytest.raises(ValueError, match="uint8"):
        to_uint8(torch.zeros(1, 3, 2, 2, dtype=torch.uint8), "round")
    with pytest.raises(ValueError, match="expected float"):
        to_uint8(torch.zeros(1, 2, 2, 3), "round")
    with pytest.raises(ValueError, match="ceil"):
        to_uint8(torch.zeros(1, 3, 2, 2), "ceil")  # type: ignore[arg-type]
