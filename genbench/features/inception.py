"""The Inception graph of 2015-12-05 that FID is defined on, and the four ways in which images are brought to it.

Not torchvision's network: 1008 classes, average pools that leave the padding out, a max pool in Mixed_7c's pool branch,
batch normalisation with eps 1e-3. Block names are torchvision's; TensorFlow's mixed, mixed_1, ..., mixed_10 are
Mixed_5b, 5c, 5d, 6a, 6b, 6c, 6d, 6e, 7a, 7b, 7c.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.errors import FeatureError, WeightsError
from genbench.features.folding import Folded, fold
from genbench.features.resize import bicubic_antialiased, bilinear, bilinear_antialiased, tf1_bilinear
from genbench.features.spaces import INCEPTION_BACKBONE, INCEPTION_WITH_HEAD
from genbench.weights import WeightFile, load_tensors

SIDE = 299
LAYERS = frozenset({"pool3", "spatial", "logits"})
SPATIAL_CHANNELS = 7
EPS = 1e-3


class Conv(nn.Conv2d):
    """Convolution with its batch normalisation folded in, and ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) => (N, out, H', W')."""
        return functional.relu_(super().forward(x))


class PoolConv(nn.Conv2d):
    """3x3 average pool that leaves the padding out, 1x1 convolution, ReLU.

    Both are linear and every average's weights sum to one, so the pool may come second, where it has up to nine times
    fewer channels to read.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) => (N, out, H, W)."""
        return functional.relu_(
            functional.avg_pool2d(super().forward(x), 3, stride=1, padding=1, count_include_pad=False)
        )


class BlockA(nn.Module):
    """Mixed_5b to 5d, on 35x35."""

    def __init__(self, width: int, pool: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(width, 64, 1)
        self.branch5x5_1 = Conv(width, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(width, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = PoolConv(width, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, 35, 35) => (N, 224 + pool, 35, 35)."""
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(x)], 1)


class BlockB(nn.Module):
    """Mixed_6a: 35x35 to 17x17."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(width, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(width, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, 35, 35) => (N, 480 + width, 17, 17)."""
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), three, functional.max_pool2d(x, 3, stride=2)], 1)


class BlockC(nn.Module):
    """Mixed_6b to 6e, on 17x17."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(768, 192, 1)
        self.branch7x7_1 = Conv(768, width, 1)
        self.branch7x7_2 = Conv(width, width, (1, 7), padding=(0, 3))
        self.branch7x7_3 = Conv(width, 192, (7, 1), padding=(3, 0))
        self.branch7x7dbl_1 = Conv(768, width, 1)
        self.branch7x7dbl_2 = Conv(width, width, (7, 1), padding=(3, 0))
        self.branch7x7dbl_3 = Conv(width, width, (1, 7), padding=(0, 3))
        self.branch7x7dbl_4 = Conv(width, width, (7, 1), padding=(3, 0))
        self.branch7x7dbl_5 = Conv(width, 192, (1, 7), padding=(0, 3))
        self.branch_pool = PoolConv(768, 192, 1)

    def join(self, x: Tensor, one: Tensor) -> Tensor:
        """The block's output, given the output of its 1x1 branch: both (N, ·, 17, 17) => (N, 768, 17, 17)."""
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([one, seven, double, self.branch_pool(x)], 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 768, 17, 17) => (N, 768, 17, 17)."""
        return self.join(x, self.branch1x1(x))


class BlockD(nn.Module):
    """Mixed_7a: 17x17 to 8x8."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(768, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(768, 192, 1)
        self.branch7x7x3_2 = Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 768, 17, 17) => (N, 1280, 8, 8)."""
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, functional.max_pool2d(x, 3, stride=2)], 1)


class BlockE(nn.Module):
    """Mixed_7b and 7c, on 8x8."""

    def __init__(self, width: int, *, max_pool: bool) -> None:
        super().__init__()
        self.branch1x1 = Conv(width, 320, 1)
        self.branch3x3_1 = Conv(width, 384, 1)
        self.branch3x3_2a = Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Conv(width, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch_pool = Conv(width, 192, 1) if max_pool else PoolConv(width, 192, 1)
        self._max_pool = max_pool

    def forward(self, x: Tensor) -> Tensor:
        """(N, width, 8, 8) => (N, 2048, 8, 8)."""
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = functional.max_pool2d(x, 3, stride=1, padding=1) if self._max_pool else x
        return torch.cat(
            [
                self.branch1x1(x),
                self.branch3x3_2a(three),
                self.branch3x3_2b(three),
                self.branch3x3dbl_3a(double),
                self.branch3x3dbl_3b(double),
                self.branch_pool(pooled),
            ],
            1,
        )


class Inception(nn.Module):
    """The network up to pool3, and the head's weights if the file has them. Convolutions stand in the graph's order."""

    def __init__(self, *, head: bool) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b = BlockA(192, pool=32)
        self.Mixed_5c = BlockA(256, pool=64)
        self.Mixed_5d = BlockA(288, pool=64)
        self.Mixed_6a = BlockB(288)
        self.Mixed_6b = BlockC(128)
        self.Mixed_6c = BlockC(160)
        self.Mixed_6d = BlockC(160)
        self.Mixed_6e = BlockC(192)
        self.Mixed_7a = BlockD()
        self.Mixed_7b = BlockE(1280, max_pool=False)
        self.Mixed_7c = BlockE(2048, max_pool=True)
        self.fc = nn.Linear(2048, 1008, bias=False) if head else None

    def forward(self, x: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """(N, 3, 299, 299) float32, (v - 128) / 128 => pool3 (N, 2048), spatial (N, 2023), logits (N, 1008).

        Computes no further than the last layer asked for. `spatial` is ``mixed_6/conv:0``'s first seven channels,
        flattened (row, column, channel) as TensorFlow lays them out; in any other order sFID is another number.
        `logits` are the ones without bias, as Inception Score takes them.
        """
        found: dict[str, Tensor] = {}
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # N x 64 x 147 x 147
        x = functional.max_pool2d(x, 3, stride=2)
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))  # N x 192 x 71 x 71
        x = functional.max_pool2d(x, 3, stride=2)
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))  # N x 288 x 35 x 35
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))  # N x 768 x 17 x 17
        one = self.Mixed_6d.branch1x1(x)
        if "spatial" in layers:
            found["spatial"] = one[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1).float()
        if not {"pool3", "logits"}.intersection(layers):
            return found
        x = self.Mixed_6e(self.Mixed_6d.join(x, one))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # N x 2048 x 8 x 8
        pool3 = x.float().mean((2, 3))
        if "pool3" in layers:
            found["pool3"] = pool3
        if "logits" in layers:
            if self.fc is None:
                raise no_head()
            found["logits"] = self.fc(pool3).float()
        return found


def no_head(hint: str | None = None) -> FeatureError:
    """The error for logits of a network that was loaded without its classifier."""
    return FeatureError(
        f"inception-tf/logits: the offline backbone {INCEPTION_BACKBONE.file} has no classifier head; "
        f"{INCEPTION_WITH_HEAD.file} has it",
        hint=hint or f"fetch {INCEPTION_WITH_HEAD.url}",
    )


def preprocess(images: Tensor) -> Tensor:
    """inception-tf: uint8 (N, 3, H, W) => float32 (N, 3, 299, 299), channels last, as all of the four."""
    # Scaling first is exact, since 128 is a power of two, and touches fewer pixels than scaling last does for the
    # small images of most suites.
    return _channels_last(tf1_bilinear(_centred(images), SIDE))


def preprocess_clean(images: Tensor) -> Tensor:
    """inception-clean: bicubic overshoots, so grey levels are clamped, though never rounded."""
    resized = bicubic_antialiased(images.float(), SIDE).clamp_(0, 255)
    return _channels_last(resized.sub_(128).div_(128))


def preprocess_torch(images: Tensor) -> Tensor:
    """inception-torch: white is 1 here, and 127/128 in the others."""
    return _channels_last(bilinear(images.float().div_(127.5).sub_(1), SIDE))


def preprocess_antialiased(images: Tensor) -> Tensor:
    """inception-aa."""
    return _channels_last(bilinear_antialiased(_centred(images), SIDE))


def _centred(images: Tensor) -> Tensor:
    return images.float().sub_(128).div_(128)


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


PREPROCESSING: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {
        "inception-tf": preprocess,
        "inception-clean": preprocess_clean,
        "inception-torch": preprocess_torch,
        "inception-aa": preprocess_antialiased,
    }
)
"""Extractor names to what prepares images for the one network."""


class InceptionExtractor:
    """uint8 images of any size to the layers asked for."""

    def __init__(
        self, network: Inception, layers: Collection[str], prepare: Callable[[Tensor], Tensor] = preprocess
    ) -> None:
        if "logits" in layers and network.fc is None:
            raise no_head()
        self.network, self._layers, self._prepare = network, frozenset(layers), prepare

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => float32 {layer: (N, *shape)}."""
        features: dict[str, Tensor] = self.network(self._prepare(images), self._layers)
        return features


def load(
    file: WeightFile,
    path: Path,
    layers: Collection[str],
    device: torch.device | str,
    prepare: Callable[[Tensor], Tensor] = preprocess,
) -> InceptionExtractor:
    """The extractor from `file`, which lies at `path`; in either of its published forms.

    Raises `WeightsError` if it does not hold this graph, `FeatureError` for logits of a file without head.
    """
    network = build(load_tensors(path), where=str(path)).to(device)
    if file != INCEPTION_BACKBONE:
        check_backbone(network, where=str(path))
    return InceptionExtractor(network, layers, prepare)


def build(tensors: Mapping[str, Tensor], *, where: str) -> Inception:
    """The network with folded convolutions from the tensors of `INCEPTION_BACKBONE` or `INCEPTION_WITH_HEAD`.

    The first names its tensors in its own way, in the graph's order; the second has torch-fidelity's names.
    Raises `WeightsError`, naming `where`, if tensors are missing or have other shapes.
    """
    head = tensors.get("fc.weight")
    with torch.device("meta"):
        network = Inception(head=head is not None)
    names = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    try:
        convolutions = _by_name(tensors, names) if head is not None else _in_order(tensors, names)
        state = {} if head is None else {"fc.weight": head}
        for name, (weight, bias) in convolutions.items():
            state |= {f"{name}.weight": weight, f"{name}.bias": bias}
        network.load_state_dict(state, assign=True)
    except (KeyError, ValueError, RuntimeError) as error:
        raise WeightsError(
            f"{where}: does not hold the FID Inception graph ({type(error).__name__}: {error})",
            hint=f"use {INCEPTION_BACKBONE.file} or {INCEPTION_WITH_HEAD.file}",
        ) from error
    return network.requires_grad_(False).eval().to(memory_format=torch.channels_last)


def _by_name(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Folded]:
    return {
        name: fold(
            tensors[f"{name}.conv.weight"],
            gamma=tensors[f"{name}.bn.weight"],
            beta=tensors[f"{name}.bn.bias"],
            mean=tensors[f"{name}.bn.running_mean"],
            variance=tensors[f"{name}.bn.running_var"],
            eps=EPS,
        )
        for name in names
    }


def _in_order(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Folded]:
    theirs = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    return {
        ours: fold(
            tensors[f"{name}.weight"],
            gamma=None,
            beta=tensors[f"{name}.beta"],
            mean=tensors[f"{name}.mean"],
            variance=tensors[f"{name}.var"],
            eps=EPS,
        )
        for ours, name in zip(names, theirs, strict=True)
    }


PROBE_PROJECTIONS = (20.158317, 7.331650, 2.420745, -26.307109)
"""`probe` of the network in `INCEPTION_BACKBONE`."""


def probe(network: Inception) -> Tensor:
    """Four projections of pool3 of one fixed picture, to which every weight of the backbone contributes; float64."""
    row, column, channel = torch.arange(64).view(-1, 1), torch.arange(64), torch.arange(3).view(-1, 1, 1)
    picture = ((7 * row + 13 * column + 29 * channel + row * column) % 256).to(torch.uint8)
    device = next(network.parameters()).device
    pool3 = InceptionExtractor(network, {"pool3"})(picture.unsqueeze(0).to(device))["pool3"]
    frequency = torch.arange(1, 1 + len(PROBE_PROJECTIONS), dtype=torch.float64).view(-1, 1)
    return torch.cos(frequency * torch.arange(2048)) @ pool3[0].double().cpu()


def check_backbone(network: Inception, *, where: str) -> None:
    """Refuse a network that does not give the features that the space is defined by.

    What lets two files share one space digest: not their names, but that they compute the same thing. The tolerance,
    1e-3 of the largest projection, is wide for a device's rounding and narrow for any change of weights.
    Raises `WeightsError`, naming `where`.
    """
    expected = torch.tensor(PROBE_PROJECTIONS, dtype=torch.float64)
    with torch.inference_mode():
        off = (probe(network) - expected).abs().max() / expected.abs().max()
    if not off <= 1e-3:
        raise WeightsError(
            f"{where}: its backbone is not the one that inception-tf is defined by (off by {off:.2g})",
            hint=f"use {INCEPTION_BACKBONE.file} or the published {INCEPTION_WITH_HEAD.file}",
        )
