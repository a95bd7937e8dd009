"""Resizing as two constant matrices: resized = A · image · Bᵀ, the same in every batch and on every device."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from genbench.features.precision import float32_only


def tf1_bilinear(images: Tensor, side: int) -> Tensor:
    """TensorFlow 1's ``resize_bilinear`` with align_corners off: float32 (N, C, H, W) => (N, C, side, side).

    A target pixel *t* reads the source at t · (in / out): no half-pixel shift and no antialiasing, edges clamped.
    The position is computed in float32, as TensorFlow and torch-fidelity do; computed more exactly, it would fall on
    the other side of a pixel here and there.
    """
    return _apply(images, side, tf1_bilinear_matrix)


def bicubic_antialiased(images: Tensor, side: int) -> Tensor:
    """Keys' bicubic (a = -0.5), widened when shrinking, as Pillow's: float32 (N, C, H, W) => (N, C, side, side).

    Weights that fall outside the picture are dropped and the rest sum to one. May overshoot the input's range.
    """
    return _apply(images, side, bicubic_antialiased_matrix)


def bilinear(images: Tensor, side: int) -> Tensor:
    """torch's ``interpolate(mode="bilinear")``: float32 (N, C, H, W) => (N, C, side, side).

    Half-pixel centres, the two nearest pixels whatever the scale, edges clamped.
    """
    return _apply(images, side, bilinear_matrix)


def bilinear_antialiased(images: Tensor, side: int) -> Tensor:
    """A triangle, widened when shrinking, as torch's and Pillow's: float32 (N, C, H, W) => (N, C, side, side)."""
    return _apply(images, side, bilinear_antialiased_matrix)


def _apply(images: Tensor, side: int, matrix: Callable[[int, int], Tensor]) -> Tensor:
    height, width = images.shape[-2:]
    across = matrix(width, side).to(images.device)
    down = matrix(height, side).to(images.device)
    with float32_only(images.device):
        return down @ (images @ across.T)


@lru_cache(maxsize=64)
def tf1_bilinear_matrix(source: int, target: int) -> Tensor:
    """(target, source) float32; each row has at most two entries other than zero, which sum to one."""
    position = torch.arange(target, dtype=torch.float32) * torch.tensor(source / target, dtype=torch.float32)
    return _two_taps(position, source)


@lru_cache(maxsize=64)
def bilinear_matrix(source: int, target: int) -> Tensor:
    """(target, source) float32; each row has at most two entries other than zero, which sum to one.

    The position is computed in float32, as torch does.
    """
    scale = torch.tensor(source, dtype=torch.float32) / target
    return _two_taps(((torch.arange(target, dtype=torch.float32) + 0.5) * scale - 0.5).clamp_min(0), source)


def _two_taps(position: Tensor, source: int) -> Tensor:
    low = position.long().clamp_max(source - 1)
    high = (low + 1).clamp_max(source - 1)
    weight = (position - low).unsqueeze(1)
    matrix = torch.zeros(len(position), source)
    matrix.scatter_add_(1, low.unsqueeze(1), 1 - weight)
    return matrix.scatter_add_(1, high.unsqueeze(1), weight)


@lru_cache(maxsize=64)
def bilinear_antialiased_matrix(source: int, target: int) -> Tensor:
    """(target, source) float32, computed in float64; each row sums to one."""
    return _antialiased(source, target, lambda x: (1 - x.abs()).clamp_min(0))


@lru_cache(maxsize=64)
def bicubic_antialiased_matrix(source: int, target: int) -> Tensor:
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
