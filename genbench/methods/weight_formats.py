"""Weight-only quantisation of a network's linear layers when it is loaded: torchao's, and bfloat16 by torch itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from genbench.errors import UsageError
from genbench.methods.settings import WeightFormat

BITS: dict[WeightFormat, int] = {"float32": 32, "bfloat16": 16, "float8": 8, "int8": 8, "int4": 4}

GROUP = 32
"""Weights of a row that share a scale in int4; int8 and float8 have one scale a row."""

_ATTRIBUTE = "genbench_weight_bits"


class _Upcast(nn.Module):
    """Shows a parameter that is kept in bfloat16 as float32."""

    def forward(self, stored: Tensor) -> Tensor:
        """Bfloat16 => float32."""
        return stored.float()


def quantise(module: nn.Module, weights: WeightFormat) -> None:
    """Replace the weights of every linear layer by their nearest values in the format; arithmetic stays what it is.

    Biases, convolutions, norms and embeddings are kept. int8 and float8 (e4m3) have a symmetric scale a row, int4 one
    for each `GROUP` weights of a row; rows that `GROUP` does not divide keep one scale.

    Raises `UsageError` when torchao is not installed.
    """
    if weights == "float32":
        return
    for layer in [layer for layer in module.modules() if isinstance(layer, nn.Linear)]:
        if weights == "bfloat16":
            layer.weight = nn.Parameter(layer.weight.bfloat16(), requires_grad=False)
            parametrize.register_parametrization(layer, "weight", _Upcast(), unsafe=True)
        else:
            _torchao(layer, weights)
        setattr(layer, _ATTRIBUTE, BITS[weights])


def _torchao(layer: nn.Linear, weights: WeightFormat) -> None:
    try:
        from torchao import quantization
        from torchao.quantization.granularity import PerAxis, PerGroup
    except ImportError as error:
        raise UsageError(
            f"weights in {weights} are torchao's, which is not installed", hint='pip install "genbench[quantise]"'
        ) from error
    config: Any
    match weights:
        case "int8":
            config = quantization.Int8WeightOnlyConfig()
        case "float8":
            config = quantization.Float8WeightOnlyConfig()
        case _:
            groups = PerAxis(0) if layer.in_features % GROUP else PerGroup(GROUP)
            config = quantization.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=groups)  # type: ignore[attr-defined]
    quantization.quantize_(layer, config)


def weight_bits(module: nn.Module) -> int:
    """Bits of a weight of a layer as it is stored."""
    weight: Any = module.weight
    return int(getattr(module, _ATTRIBUTE, 8 * weight.element_size()))


def own_bytes(module: nn.Module) -> int:
    """Bytes of a module's own parameters, those of its submodules left out; quantised ones packed, with their scales.

    torchao keeps a 4-bit weight in a byte of its own: in memory int4 takes as much as int8.
    """
    return sum(_bytes(parameter, module) for parameter in module.parameters(recurse=False))


def _bytes(parameter: Tensor, module: nn.Module) -> int:
    scales: Tensor | None = getattr(parameter, "scale", None)
    if scales is None:
        return parameter.numel() * parameter.element_size()
    return parameter.numel() * weight_bits(module) // 8 + scales.numel() * scales.element_size()
