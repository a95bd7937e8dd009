"""First and second moments of features in float64, which merge, and the factor of a covariance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from genbench.errors import FeatureError
from genbench.metrics.inputs import Features, Float64, check_features

__all__ = ["Float64", "Gaussian", "Moments", "symmetric_factor"]

_ROWS = 4096


class Gaussian(Protocol):
    """What the Fréchet distance reads of either side."""

    @property
    def n(self) -> int:
        """Number of images."""
        ...

    @property
    def mean(self) -> Float64:
        """(d,)."""
        ...

    @property
    def cov(self) -> Float64:
        """(d, d), divided by n - 1."""
        ...

    @property
    def factor(self) -> Float64:
        """(d, r) with factor @ factor.T = cov and r <= min(d, n - 1)."""
        ...


def symmetric_factor(cov: Float64, rank: int) -> Float64:
    """A factor L of `cov` (d, d) with L Lᵀ = `cov`: (d, r), r <= `rank`.

    Cholesky's, lower triangular, where `cov` is of full rank; else V·√Λ of the `rank` largest positive eigenvalues.
    What lies beyond the rank that n images can give is rounding, and its square roots would not be small.
    """
    matrix = torch.from_numpy(cov)
    if rank >= len(cov):
        lower, failed = torch.linalg.cholesky_ex(matrix)
        pivots = lower.diagonal().square()
        if not failed and pivots.min() > _negligible(pivots.max(), len(cov)):
            triangular: Float64 = lower.numpy()
            return triangular
    values, vectors = torch.linalg.eigh(matrix)
    keep = values > _negligible(values[-1], len(cov))
    keep[: max(len(cov) - rank, 0)] = False
    factor: Float64 = (vectors[:, keep] * values[keep].sqrt()).numpy()
    return factor


def _negligible(largest: Tensor, size: int) -> Tensor:
    return largest * size * torch.finfo(largest.dtype).eps


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and scatter of features; ``a + b`` are the moments of both sets together.

    The merge (Chan, Golub & LeVeque 1979) is exact in real arithmetic and rounds in float64, so shards, their order
    and their number move a result by some 1e-15 of its scale, not by an approximation.
    """

    n: int
    mean: Float64
    """(d,)."""
    scatter: Float64
    """(d, d): the sum of (x - mean)(x - mean)ᵀ."""

    @classmethod
    def from_features(cls, features: Features, what: str = "features") -> Moments:
        """Moments of (N, d) features, N >= 1; at most 4,096 rows are held in float64 at a time.

        Raises `FeatureError` for an empty array and for NaN or infinity.
        """
        check_features(features, what, at_least=1)
        blocks = (features[start : start + _ROWS] for start in range(0, len(features), _ROWS))
        total = cls._of_block(next(blocks))
        for block in blocks:
            total = total + cls._of_block(block)
        return total

    @classmethod
    def _of_block(cls, block: Features) -> Moments:
        rows = block.astype(np.float64)
        mean = rows.mean(axis=0)
        rows -= mean
        # The mean of rounded numbers is rounded; the second term takes that out of the scatter.
        left = rows.sum(axis=0)
        return cls(len(rows), mean + left / len(rows), rows.T @ rows - np.outer(left, left) / len(rows))

    def __add__(self, other: Moments) -> Moments:
        if self.mean.shape != other.mean.shape:
            raise FeatureError(
                f"moments of {len(self.mean)}-wide and of {len(other.mean)}-wide features cannot be merged",
                hint="merge shards of one feature space only",
            )
        n = self.n + other.n
        step = other.mean - self.mean
        mean = self.mean + step * (other.n / n)
        between = np.outer(step, step) * (self.n * other.n / n)
        return Moments(n, mean, self.scatter + other.scatter + between)

    def __sub__(self, part: Moments) -> Moments:
        """Moments of the images that are left when those of `part` are taken out; it must have fewer than all."""
        if self.mean.shape != part.mean.shape or part.n >= self.n:
            raise FeatureError(
                f"{part.n} images of {len(part.mean)} features are no part of {self.n} of {len(self.mean)}",
                hint="take out moments of some of the same images",
            )
        n = self.n - part.n
        step = part.mean - self.mean
        between = np.outer(step, step) * (self.n * part.n / n)
        return Moments(n, self.mean - step * (part.n / n), self.scatter - part.scatter - between)

    @cached_property
    def cov(self) -> Float64:
        """Covariance (d, d), divided by n - 1. Raises `FeatureError` for n < 2."""
        if self.n < 2:
            raise FeatureError(f"a covariance of {self.n} image is not defined", hint="at least 2 images are needed")
        return self.scatter / (self.n - 1)

    @cached_property
    def factor(self) -> Float64:
        """`symmetric_factor` of `cov`."""
        return symmetric_factor(self.cov, self.n - 1)
