"""What is read from an image together with its original: PSNR, SSIM and LPIPS, one number each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional

from genbench.errors import FeatureError
from genbench.features import vgg
from genbench.features.precision import strict_float32
from genbench.features.space import Space
from genbench.weights import Located, locate

PEAK = 255.0
"""The range of uint8."""
WINDOW = 11
"""Pixels a side of SSIM's window."""
SIGMA = 1.5
"""Pixels, of the Gaussian that weighs it."""
C1, C2 = (0.01 * PEAK) ** 2, (0.03 * PEAK) ** 2
BLOCK = 16
"""Pairs that are compared at once."""

Compare = Callable[[Tensor, Tensor], Tensor]
"""Two of uint8 (N, 3, H, W) => (N,)."""


def psnr(images: Tensor, originals: Tensor) -> Tensor:
    """10 log10(255² / MSE) in decibels, MSE over channels and pixels: two of uint8 (N, 3, H, W) => float64 (N,).

    An image that equals its original gives infinity.
    """
    error = (images.double() - originals.double()).square().mean((1, 2, 3))
    return 10 * (PEAK**2 / error).log10()


def ssim(images: Tensor, originals: Tensor) -> Tensor:
    """Structural similarity of two of uint8 (N, 3, H, W), -1 to 1 => float64 (N,); Wang et al. 2004, equation 13.

    Gaussian window of 11x11 with σ = 1.5, population covariance, K1 = 0.01, K2 = 0.03, range 255; each channel by
    itself, the mean over channels and over the windows that lie inside the image. scikit-image does so with
    ``gaussian_weights=True, use_sample_covariance=False``; its defaults (7x7, uniform) give other values.

    Raises `FeatureError` for images with a side below 11.
    """
    if min(images.shape[2:]) < WINDOW:
        raise FeatureError(
            f"SSIM needs sides of at least {WINDOW}, not {images.shape[2]}x{images.shape[3]}",
            hint="enlarge the images by a rule that you state",
        )
    x, y = images.double(), originals.double()
    mean_x, mean_y = _smooth(x), _smooth(y)
    variances = _smooth(x * x) - mean_x**2 + _smooth(y * y) - mean_y**2
    covariance = _smooth(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    similarity: Tensor = luminance * (2 * covariance + C2) / (variances + C2)
    return similarity.mean((1, 2, 3))


def _smooth(x: Tensor) -> Tensor:
    """(N, C, H, W) => (N, C, H - 10, W - 10), the Gaussian means."""
    offsets = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    weights = (-offsets.square() / (2 * SIGMA**2)).exp()
    weights /= weights.sum()
    flat = x.flatten(0, 1).unsqueeze(1)
    down = functional.conv2d(flat, weights.view(1, 1, -1, 1))
    return functional.conv2d(down, weights.view(1, 1, 1, -1)).view(*x.shape[:2], x.shape[2] - 10, x.shape[3] - 10)


def _lpips(files: Sequence[Located], device: torch.device | str) -> Compare:
    return vgg.load(files, ["embedding"], device).distance


LOADERS: Mapping[str, Callable[[Sequence[Located], torch.device | str], Compare]] = MappingProxyType(
    {
        "pixels/psnr": lambda _files, _device: psnr,
        "pixels/ssim": lambda _files, _device: ssim,
        "vgg16-lpips/pairs": _lpips,
    }
)
"""Names of paired spaces to what compares in them."""


class PairExtractors:
    """Several paired spaces, in strict float32 where a network computes."""

    def __init__(self, compare: Mapping[str, Compare], device: torch.device | str) -> None:
        self._compare, self._device = dict(compare), torch.device(device)

    def __call__(self, images: Tensor, originals: Tensor) -> dict[str, Tensor]:
        """Two of uint8 (N, 3, H, W) => float32 {space name: (N, 1)}.

        Raises `FeatureError` if the two have not one shape.
        """
        if images.shape != originals.shape:
            raise FeatureError(
                f"images of {tuple(images.shape)} are compared with originals of {tuple(originals.shape)}",
                hint="bring both to one size by a rule that you state",
            )
        with torch.inference_mode(), strict_float32():
            blocks = [
                (ours.to(self._device), theirs.to(self._device))
                for ours, theirs in zip(torch.split(images, BLOCK), torch.split(originals, BLOCK), strict=True)
            ]
            return {
                name: torch.cat([compare(ours, theirs) for ours, theirs in blocks]).float().unsqueeze(1)
                for name, compare in self._compare.items()
            }


def load_pair_extractors(
    spaces: Sequence[Space], *, device: torch.device | str = "cpu", cache: Path, offline: bool | None = None
) -> PairExtractors:
    """A function from images and their originals to all paired `spaces`, weights located and loaded.

    Raises `WeightsError` if weights are missing or altered.
    """
    find = partial(locate, cache=cache, offline=offline)
    compare = {}
    for space in spaces:
        wanted = () if space.weights is None else (space.weights, *space.further)
        compare[space.name] = LOADERS[space.name]([Located(file, find(file)) for file in wanted], device)
    return PairExtractors(compare, device)
