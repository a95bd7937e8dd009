"""A feature space: what is read from an image, exactly. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from genbench.digest import digest
from genbench.weights import WeightFile


@dataclass(frozen=True)
class Space:
    """One place where images are compared: an extractor, one of its layers, and the exact preprocessing."""

    name: str
    extractor: str
    layer: str
    shape: tuple[int, ...]
    """Of one image's features."""
    version: int
    """Raised when the same name would give other values."""
    preprocessing: str
    """From uint8 RGB to the network's input, exactly."""
    weights: WeightFile
    """The file that defines the network, and that the digest covers."""
    equivalents: tuple[WeightFile, ...] = ()
    """Files that hold the same network in another form, accepted equally once the extractor has seen that they do."""
    summary: str = ""
    source: str = ""
    """Paper or peer whose convention this is."""

    @property
    def digest(self) -> str:
        """SHA-256 over everything that can change a value: extractor, layer, version, preprocessing, weights.

        The weights enter by the digest of the defining file, whichever equivalent was loaded: pool3 from the offline
        backbone and from torch-fidelity's file are one space, because the extractor refuses an equivalent whose
        network does not give the defining file's features (`inception.check_backbone`). So moving to a machine that
        has the other file neither recomputes a shard nor splits a leaderboard. Device and batch size stay out for
        the same reason.
        """
        return digest(
            {
                "extractor": self.extractor,
                "layer": self.layer,
                "preprocessing": self.preprocessing,
                "version": self.version,
                "weights": self.weights.sha256,
            }
        )

    @property
    def width(self) -> int:
        """Numbers per image: the product of `shape`."""
        return math.prod(self.shape)
