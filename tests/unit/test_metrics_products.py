import pytest
import torch

from genbench.metrics.products import float32_is_full, products


@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 1), (3, 5, 2), (64, 33, 100), (0, 4, 3), (4, 0, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_those_of_float64(n: int, m: int, d: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(n + m)
    x, y = (torch.randn(size, d, generator=generator, dtype=torch.float64).to(dtype) for size in (n, m))
    found = products(x, y)
    assert found.dtype == dtype
    # d·u·|x||y| bounds a dot product in any order of summation; each side here is below √(6d) long.
    torch.testing.assert_close(
        found.double(), x.double() @ y.double().T, rtol=0, atol=6 * d**2 * torch.finfo(dtype).eps
    )


def test_a_part_of_a_larger_set_gives_its_rows() -> None:
    x, y = torch.randn(20, 8), torch.randn(30, 8)
    torch.testing.assert_close(products(x[4:9], y[10:30:2]), (x @ y.T)[4:9, 10:30:2])


def test_float32_is_not_full_where_products_are_allowed_less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert float32_is_full("cpu")
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    assert not float32_is_full("cpu")
