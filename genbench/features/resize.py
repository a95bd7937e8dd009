"""Resizing by rules that are the same in every batch and on every device.

Rules that read two pixels a target interpolate between them; wider ones are two constant matrices, A · image · Bᵀ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from genbench.features.precision import float32_only


def tf1_bilinear(images: Tensor, side: int) -> Tensor:
    """TensorFlow 1's ``resize_bilinear`` with align_corners off: float32 (N, C, H, W) => (N, C, side, side).

    A target pixel *t* reads the source at t · (in / out): no half-pixel shift and no antialiasing, edges clamped.
    The position is computed in float32, as TensorFlow and torch-fidelity do; computed more exactly, it would fall on
    the other side of a pixel here and there.
    """
    return _between(images, side, _tf1_taps)


def bicubic_antialiased(images: Tensor, side: int) -> Tensor:
    """Keys' bicubic (a = -0.5), widened when shrinking, as Pillow's: float32 (N, C, H, W) => (N, C, side, side).

    Weights that fall outside the picture are dropped and the rest sum to one. May overshoot the input's range.
    """
    return _apply(images, side, _bicubic_antialiased_matrix)


def bilinear(images: Tensor, side: int) -> Tensor:
    """torch's ``interpolate(mode="bilinear")``: float32 (N, C, H, W) => (N, C, side, side).

    Half-pixel centres, the two nearest pixels whatever the scale, edges clamped.
    """
    return _between(images, side, _half_pixel_taps)


def bilinear_antialiased(images: Tensor, side: int) -> Tensor:
    """A triangle, widened when shrinking, as torch's and Pillow's: float32 (N, C, H, W) => (N, C, side, side)."""
    return _apply(images, side, _bilinear_antialiased_matrix)


def _apply(images: Tensor, side: int, matrix: Callable[[int, int], Tensor]) -> Tensor:
    height, width = images.shape[-2:]
    across = matrix(width, side).to(images.device)
    down = matrix(height, side).to(images.device)
    with float32_only(images.device):
        return down @ (images @ across.T)


class _Taps(NamedTuple):
    """The two neighbouring pixels that each target pixel lies between, and how far from the first: (target,) each."""

    low: Tensor
    high: Tensor
    weight: Tensor
    """float32, 0 to 1."""


def _between(images: Tensor, side: int, taps: Callable[[int, int], _Taps]) -> Tensor:
    # Channels last: what a target pixel reads lies together, and so does what the networks want.
    height, width = images.shape[-2:]
    rows = _interpolated(images.permute(0, 2, 3, 1), 2, taps(width, side))
    return _interpolated(rows, 1, taps(height, side)).permute(0, 3, 1, 2)


def _interpolated(x: Tensor, dim: int, taps: _Taps) -> Tensor:
    low, high, weight = (part.to(x.device) for part in taps)
    shape = [1] * x.ndim
    shape[dim] = -1
    return torch.lerp(x.index_select(dim, low), x.index_select(dim, high), weight.view(shape))


@lru_cache(maxsize=64)
def _tf1_taps(source: int, target: int) -> _Taps:
    return _taps(torch.arange(target, dtype=torch.float32) * torch.tensor(source / target, dtype=torch.float32), source)


@lru_cache(maxsize=64)
def _half_pixel_taps(source: int, target: int) -> _Taps:
    """The position is computed in float32, as torch does."""
    scale = torch.tensor(source, dtype=torch.float32) / target
    return _taps(((torch.arange(target, dtype=torch.float32) + 0.5) * scale - 0.5).clamp_min(0), source)


def _taps(position: Tensor, source: int) -> _Taps:
    low = position.long().clamp_max(source - 1)
    high = (low + 1).clamp_max(source - 1)
    return _Taps(low, high, position - low)


@lru_cache(maxsize=64)
def _bilinear_antialiased_matrix(source: int, target: int) -> Tensor:
    """(target, source) float32, computed in float64; each row sums to one."""
    return _antialiased(source, target, lambda x: (1 - x.abs()).clamp_min(0))


@lru_cache(maxsize=64)
def _bicubic_antialiased_matrix(source: int, target: int) -> Tensor:
    """(target, source) float32, computed in float64; each row sums to one."""
    return _antialiased(source, target, _keys)


def _antialiased(source: int, target: int, kernel: Callable[[Tensor], Tensor]) -> Tensor:
    scale = source / target
    centre = (torch.arange(target, dtype=torch.float64) + 0.5) * scale
    pixel = torch.arange(source, dtype=torch.float64) + 0.5
    weight = kernel((pixel - centre.unsqueeze(1)) / max(scale, 1.0))
    return (weight / weight.sum(1, keepdim=True)).float()


def _keys(x: Tensor, a: float = -0.5) -> Tensor:
    """Keys 1981, eq. 15."""
    x = x.abs()
    near = ((a + 2) * x - (a + 3)) * x.square() + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
