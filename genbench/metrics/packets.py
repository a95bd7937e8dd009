"""Moments of features that come packet after packet: a covariance within each, and none between packets.

What Fréchet distances of single packets read. At 128x128 pixels the 256 Haar packets have 49,152 coefficients, whose
whole covariance would be 19.3 GB; those within the packets are 75 MB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from genbench.errors import FeatureError
from genbench.metrics.inputs import Features, Float64
from genbench.metrics.moments import Moments


class PacketMoments(NamedTuple):
    """Number, mean and covariances of features (N, d), d = packets × size."""

    n: int
    mean: Float64
    """(d,)."""
    cov: Float64
    """(packets, size, size), divided by n - 1."""

    @classmethod
    def from_features(cls, features: Features, packets: int, what: str = "features") -> PacketMoments:
        """Moments of (N, d) features, N >= 2, one packet at a time.

        Raises `FeatureError` for NaN or infinity, for too few, and where d is no multiple of `packets`.
        """
        d = features.shape[-1]
        parts = columns(d, packets)
        mean, cov = np.empty(d), np.empty((packets, d // packets, d // packets))
        for packet, part in enumerate(parts):
            found = Moments.from_features(features[:, part], what)
            mean[part], cov[packet] = found.mean, found.cov
        return cls(len(features), mean, cov)


def columns(d: int, packets: int) -> Iterator[slice]:
    """Which columns each packet has, packet after packet. Raises `FeatureError` where d is no multiple of `packets`."""
    if d % packets or not d:
        raise FeatureError(
            f"{d} coefficients are not {packets} packets of one size", hint="extract Haar packets of level 4"
        )
    size = d // packets
    return (slice(start, start + size) for start in range(0, d, size))


def covariances(cov: Float64, packets: int) -> Iterator[Float64]:
    """The covariance (size, size) of each packet, of a whole one (d, d) or of those of packets (packets, size, size).

    Raises `FeatureError` for those of another number of packets.
    """
    if cov.ndim == 2:
        return (np.ascontiguousarray(cov[part, part]) for part in columns(len(cov), packets))
    if len(cov) != packets:
        raise FeatureError(
            f"covariances of {len(cov)} packets are not those of {packets}", hint="build the reference again"
        )
    return iter(cov)
