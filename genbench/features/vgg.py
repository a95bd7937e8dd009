"""vgg16-lpips: VGG-16 as LPIPS sees it. The squared distance of two images' features is their LPIPS distance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from genbench.errors import FeatureError, WeightsError
from genbench.features.spaces import LPIPS_HEADS, VGG16
from genbench.weights import Located, load_tensors

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Convolutions of the five stages; LPIPS reads the last of each, after its ReLU and before the pool."""
SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
EPS = 1e-10
SMALLEST = 16


class LpipsNetwork(nn.Module):
    """VGG-16's convolutions under torchvision's names, and the learned weight of every channel of the five stages."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 3
        for stage, widths in enumerate(WIDTHS):
            layers += [nn.MaxPool2d(2)] if stage else []
            for out in widths:
                layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU()]
                width = out
        self.features = nn.ModuleList(layers)
        self.heads = nn.ParameterList([nn.Parameter(torch.empty(widths[-1])) for widths in WIDTHS])

    def forward(self, x: Tensor) -> list[Tensor]:
        """(N, 3, H, W) float32 => five stages (N, channels, H', W'), normalised and weighted.

        The squared difference of a stage, summed, is that stage's term of LPIPS: unit length along channels, then
        the channel's weight, then the mean over positions.
        """
        found = []
        layers = iter(self.features)
        for stage, widths in enumerate(WIDTHS):
            for _ in range(2 * len(widths) + bool(stage)):
                x = next(layers)(x)
            unit = x.float() / (x.float().square().sum(1, keepdim=True).sqrt() + EPS)
            weight = self.heads[stage] / (x.shape[2] * x.shape[3])
            found.append(unit * weight.sqrt().view(1, -1, 1, 1))
        return found


class LpipsExtractor:
    """uint8 images, at their own size, to features whose squared distances are LPIPS (version 0.1, VGG)."""

    def __init__(self, network: LpipsNetwork) -> None:
        self.network = network

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => float32 {embedding: (N, D)}; D is 124,928 at 32x32 and 7,995,392 at 256x256.

        The mean LPIPS of all pairs of a set needs no pairs: it is twice the features' total variance (ddof 1).
        Raises `FeatureError` for images with a side below 16, which the fifth stage does not see.
        """
        return {"embedding": torch.cat([stage.flatten(1) for stage in self._stages(images)], 1)}

    def distance(self, images: Tensor, others: Tensor) -> Tensor:
        """LPIPS of each image to the one at its place in `others`: two of uint8 (N, 3, H, W) => float32 (N,).

        Raises `FeatureError` if the two have not one shape.
        """
        if images.shape != others.shape:
            raise FeatureError(
                f"LPIPS compares images in pairs, not {tuple(images.shape)} with {tuple(others.shape)}",
                hint="give as many images of the same size on both sides",
            )
        pairs = zip(self._stages(images), self._stages(others), strict=True)
        return torch.stack([(a - b).square().sum((1, 2, 3)) for a, b in pairs]).sum(0)

    def _stages(self, images: Tensor) -> list[Tensor]:
        if min(images.shape[2:]) < SMALLEST:
            raise FeatureError(
                f"LPIPS needs sides of at least {SMALLEST}, not {images.shape[2]}x{images.shape[3]}",
                hint="enlarge the images by a rule that you state",
            )
        stages: list[Tensor] = self.network(preprocess(images))
        return stages


def preprocess(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) => float32 (N, 3, H, W): -1 to 1, then LPIPS's own shift and scale; channels last."""
    shift = torch.tensor(SHIFT, device=images.device).view(1, 3, 1, 1)
    scale = torch.tensor(SCALE, device=images.device).view(1, 3, 1, 1)
    x = (images.float().div_(127.5).sub_(1) - shift) / scale
    return x.contiguous(memory_format=torch.channels_last)


def load(files: Sequence[Located], _layers: Collection[str], device: torch.device | str) -> LpipsExtractor:
    """The extractor from torchvision's VGG-16 and LPIPS's heads, in this order.

    Raises `WeightsError` if they do not hold these.
    """
    vgg, heads = files
    network = build(load_tensors(vgg.path), load_tensors(heads.path), where=f"{vgg.path} and {heads.path}")
    return LpipsExtractor(network.to(device))


def build(vgg: Mapping[str, Tensor], heads: Mapping[str, Tensor], *, where: str) -> LpipsNetwork:
    """The network from the tensors of `VGG16` (its classifier is left out) and `LPIPS_HEADS`.

    Raises `WeightsError`, naming `where`, if tensors are missing, have other shapes, or weigh a channel negatively.
    """
    with torch.device("meta"):
        network = LpipsNetwork()
    try:
        state = {name: tensor for name, tensor in vgg.items() if name.startswith("features.")}
        state |= {f"heads.{k}": heads[f"lin{k}.model.1.weight"].flatten() for k in range(len(WIDTHS))}
        network.load_state_dict(state, assign=True)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(
            f"{where}: do not hold VGG-16 and the heads of LPIPS ({type(error).__name__}: {error})",
            hint=f"use {VGG16.file} and {LPIPS_HEADS.file}",
        ) from error
    if any((head < 0).any() for head in network.heads):
        raise WeightsError(
            f"{where}: LPIPS weighs no channel negatively, and these heads do",
            hint=f"use {LPIPS_HEADS.file} as published",
        )
    return network.requires_grad_(False).eval().to(memory_format=torch.channels_last)
