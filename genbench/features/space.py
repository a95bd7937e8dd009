"""A feature space: what is read from an image, exactly. Imports no torch."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from genbench.digest import digest
from genbench.precision import Precision
from genbench.weights import WeightFile

Reduction = Literal["correlogram", "layout", "sketch"]
"""`genbench.tokens.correlogram` or `genbench.tokens.layout` of an image's tokens, on a square grid; or
`genbench.features.sketch` of its features."""


@dataclass(frozen=True)
class Space:
    """One place where images are compared: an extractor, one of its layers, and the exact preprocessing."""

    name: str
    extractor: str
    layer: str
    shape: tuple[int, ...]
    """Of one image's features; 0 for a length that follows the size of the image."""
    version: int
    """Raised when the same name would give other values."""
    preprocessing: str
    """From uint8 RGB to the network's input, exactly."""
    weights: WeightFile | None
    """The file that defines the network, and that the digest covers; None for arithmetic on pixels."""
    equivalents: tuple[WeightFile, ...] = ()
    """Files that hold the same network in another form, accepted equally once the extractor has seen that they do."""
    summary: str = ""
    source: str = ""
    """Paper or peer whose convention this is."""
    further: tuple[WeightFile, ...] = ()
    """Files that are needed besides `weights`, which the digest covers too."""
    precision: Precision = "exact"
    reduction: Reduction | None = None
    """What is kept of the layer where it would be too much itself."""
    paired: bool = False
    """Whether it is read from an image together with its original (`genbench.features.pairs`)."""

    @property
    def digest(self) -> str:
        """SHA-256 over everything that can change a value: extractor, layer, version, preprocessing, weights.

        The weights enter by the digest of the defining file, whichever equivalent was loaded: pool3 from the offline
        backbone and from torch-fidelity's file are one space, because the extractor refuses an equivalent whose
        network does not give the defining file's features (`inception.check_backbone`). So moving to a machine that
        has the other file neither recomputes a shard nor splits a leaderboard. Device and batch size stay out for
        the same reason. A file whose authors publish no digest enters by its address; it is pinned at first use.
        """
        covered = {
            "extractor": self.extractor,
            "layer": self.layer,
            "preprocessing": self.preprocessing,
            "version": self.version,
            "weights": _identity(self.weights),
        }
        # What stands at its default is left out, so that digests from before it existed stay valid.
        if self.further:
            covered["further"] = [_identity(file) for file in self.further]
        if self.precision != "exact":
            covered["precision"] = self.precision
        if self.reduction is not None:
            covered["reduction"] = self.reduction
        return digest(covered)

    def at(self, precision: Precision) -> Space:
        """The same space computed with that precision: another digest under the same name."""
        return dataclasses.replace(self, precision=precision)

    @property
    def width(self) -> int:
        """Numbers per image: the product of `shape`; 0 where it follows the size of the image."""
        return math.prod(self.shape)

    @property
    def packets(self) -> int:
        """In how many packets features come, of which a reference keeps the covariances within each; else 1."""
        return self.shape[0] if self.layer == "packets" else 1


def _identity(file: WeightFile | None) -> str | None:
    return None if file is None else file.sha256 or file.url
