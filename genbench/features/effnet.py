"""effnet-lite0: EfficientNet-Lite0, an ImageNet-1k classifier without swish and squeeze-and-excitation.

Small enough for a laptop, and trained on another task's data and with another design than the FID Inception, so that
the two seldom err together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.errors import WeightsError
from genbench.features.folding import fold
from genbench.features.resize import bicubic_antialiased
from genbench.features.spaces import EFFICIENTNET_LITE0
from genbench.weights import WeightFile, load_tensors

SIDE = 224
LAYERS = frozenset({"pooled", "logits", "tokens"})
EPS = 1e-3


class Stage(NamedTuple):
    """A run of blocks; the first has the stride."""

    blocks: int
    kernel: int
    stride: int
    expand: int
    width: int


STAGES = (
    Stage(blocks=1, kernel=3, stride=1, expand=1, width=16),
    Stage(blocks=2, kernel=3, stride=2, expand=6, width=24),
    Stage(blocks=2, kernel=5, stride=2, expand=6, width=40),
    Stage(blocks=3, kernel=3, stride=2, expand=6, width=80),
    Stage(blocks=3, kernel=5, stride=1, expand=6, width=112),
    Stage(blocks=4, kernel=5, stride=2, expand=6, width=192),
    Stage(blocks=1, kernel=3, stride=1, expand=6, width=320),
)
TOKEN_BLOCK = sum(stage.blocks for stage in STAGES[:5]) - 1
"""The last block at stride 16."""


class Conv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, its batch normalisation folded in."""

    def __init__(self, width: int, out: int, kernel: int, stride: int = 1, *, depthwise: bool = False) -> None:
        # At stride 2 on an even side, SAME pads one pixel more at the end than at the start.
        total = kernel - stride
        super().__init__(
            width,
            out,
            kernel,
            stride=stride,
            padding=total // 2 if stride == 1 else 0,
            groups=width if depthwise else 1,
        )
        start, end = total // 2, total - total // 2
        self._uneven = None if stride == 1 else (start, end, start, end)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) => (N, out, H / stride, W / stride)."""
        return super().forward(x if self._uneven is None else functional.pad(x, self._uneven))


class Block(nn.Module):
    """Inverted bottleneck: expand, depthwise, project; added to its input where the shapes allow."""

    def __init__(self, width: int, out: int, *, kernel: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = width * expand
        self._expand_conv = Conv(width, inner, 1) if expand != 1 else None
        self._depthwise_conv = Conv(inner, inner, kernel, stride, depthwise=True)
        self._project_conv = Conv(inner, out, 1)
        self._skip = stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, H, W) => (N, out, H / stride, W / stride); no activation at the end."""
        inner = x if self._expand_conv is None else functional.relu6(self._expand_conv(x), inplace=True)
        out: Tensor = self._project_conv(functional.relu6(self._depthwise_conv(inner), inplace=True))
        return out.add_(x) if self._skip else out


class EfficientNetLite0(nn.Module):
    """The network with the published file's names for its convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = Conv(3, 32, 3, 2)
        blocks, width = [], 32
        for stage in STAGES:
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                blocks.append(Block(width, stage.width, kernel=stage.kernel, stride=stride, expand=stage.expand))
                width = stage.width
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = Conv(width, 1280, 1)
        self._fc = nn.Linear(1280, 1000)

    def forward(self, x: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """(N, 3, 224, 224) float32 => pooled (N, 1280), logits (N, 1000), tokens (N, 196, 112).

        Computes no further than the last layer asked for.
        """
        found: dict[str, Tensor] = {}
        x = functional.relu6(self._conv_stem(x), inplace=True)
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index == TOKEN_BLOCK and "tokens" in layers:
                found["tokens"] = x.permute(0, 2, 3, 1).flatten(1, 2).float().clone()
                if len(layers) == 1:
                    return found
        pooled = functional.relu6(self._conv_head(x), inplace=True).float().mean((2, 3))
        if "pooled" in layers:
            found["pooled"] = pooled
        if "logits" in layers:
            found["logits"] = self._fc(pooled).float()
        return found


class EffNetExtractor:
    """uint8 images of any size to the layers asked for; in float32 at every precision.

    In bfloat16, features would move by a seventh of their norm (depthwise convolutions and projections without
    activation keep the rounding of all before them), and the network is too small to gain much.
    """

    network = None

    def __init__(self, network: EfficientNetLite0, layers: Collection[str]) -> None:
        self._network, self._layers = network, frozenset(layers)

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => float32 {layer: (N, *shape)}."""
        features: dict[str, Tensor] = self._network(preprocess(images), self._layers)
        return features


def preprocess(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) => float32 (N, 3, 224, 224), channels last.

    The whole picture, not the centre crop that ImageNet accuracies are measured with: a metric of images should see
    their edges.
    """
    resized = bicubic_antialiased(images.float(), SIDE).clamp_(0, 255)
    return resized.sub_(127).div_(128).contiguous(memory_format=torch.channels_last)


def load(file: WeightFile, path: Path, layers: Collection[str], device: torch.device | str) -> EffNetExtractor:
    """The extractor from `file`, which lies at `path`; raises `WeightsError` if it does not hold this network."""
    return EffNetExtractor(build(load_tensors(path), where=str(path)).to(device), layers)


def build(tensors: Mapping[str, Tensor], *, where: str) -> EfficientNetLite0:
    """The network with folded convolutions from the tensors of `EFFICIENTNET_LITE0`.

    Raises `WeightsError`, naming `where`, if tensors are missing or have other shapes.
    """
    with torch.device("meta"):
        network = EfficientNetLite0()
    try:
        state = {name: tensors[name] for name in ("_fc.weight", "_fc.bias")}
        for name, module in network.named_modules():
            if isinstance(module, Conv):
                norm = _norm_of(name)
                state[f"{name}.weight"], state[f"{name}.bias"] = fold(
                    tensors[f"{name}.weight"],
                    gamma=tensors[f"{norm}.weight"],
                    beta=tensors[f"{norm}.bias"],
                    mean=tensors[f"{norm}.running_mean"],
                    variance=tensors[f"{norm}.running_var"],
                    eps=EPS,
                )
        network.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{where}: does not hold EfficientNet-Lite0 ({type(error).__name__}: {error})",
            hint=f"use {EFFICIENTNET_LITE0.file}",
        ) from error
    return network.requires_grad_(False).eval().to(memory_format=torch.channels_last)


_NORMS = {
    "_conv_stem": "_bn0",
    "_conv_head": "_bn1",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
}
"""Which normalisation of the same module follows a convolution, in the file's names."""


def _norm_of(convolution: str) -> str:
    prefix, dot, name = convolution.rpartition(".")
    return f"{prefix}{dot}{_NORMS[name]}"
