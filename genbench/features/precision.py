"""How exactly a network computes: strict float32, or bfloat16 for speed. The images are prepared in float32 by both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

from genbench.precision import Precision


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """The settings under which an extractor of that precision runs; the process's own are as before after it."""
    return strict_float32() if precision == "exact" else _bfloat16(device)


@contextmanager
def strict_float32() -> Iterator[None]:
    """Full float32 and repeatable convolutions on every device, where a GPU's defaults are TF32 and the fastest."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


@contextmanager
def _bfloat16(device: torch.device) -> Iterator[None]:
    # Preparation is float32 arithmetic outside autocast's reach (`float32_only`), and stays strict.
    with strict_float32(), torch.autocast(device.type, torch.bfloat16, cache_enabled=False):
        yield


def float32_only(device: torch.device) -> AbstractContextManager[None]:
    """Inside, matrix products are float32 whatever the precision of the network: grey levels need all eight bits."""
    return torch.autocast(device.type, enabled=False)


def lower(network: nn.Module) -> None:
    """Store the weights of convolutions and linear layers in bfloat16, once, where autocast would cast at every call.

    Normalisations, position embeddings and tokens stay float32, as under autocast.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(torch.bfloat16)
