"""Products of all pairs of two sets of features, in float32 where that is float32 and faster."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def float32_is_full(device: str) -> bool:
    """Whether float32 products on `device` have float32's 24 bits here: neither TF32 nor bfloat16."""
    return torch.device(device).type == "cpu" and torch.get_float32_matmul_precision() == "highest"


def products(x: Tensor, y: Tensor) -> Tensor:
    """x · yᵀ of (n, d) and (m, d), of one type and device: (n, m).

    float32 on a CPU goes through oneDNN, which has kernels for the machine's widest vectors where the BLAS may not, and
    none for empty products.
    """
    has_onednn = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if has_onednn and x.device.type == "cpu" and x.dtype == torch.float32 and x.numel() and y.numel():
        return functional.linear(x.to_mkldnn(), y).to_dense()
    return x @ y.T
