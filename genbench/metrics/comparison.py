"""One set of features against one reference: what statistics read, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.errors import FeatureError
from genbench.metrics.inputs import Features, check_features, check_width
from genbench.metrics.neighbours import Neighbourhoods, neighbourhoods
from genbench.metrics.reference import Reference


class Measurement(NamedTuple):
    """One number and what it rests on."""

    value: float
    stderr: float | None
    """Standard error over draws of the generated images, the reference being fixed; None where it is not defined."""
    n: int
    """Generated images."""
    n_reference: int
    """Reference images that took part: those of the moments, or those whose features were compared."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Generated features (N, d) and a reference of the same space; shared work is done once, when first asked for.

    Raises `FeatureError` for features that are empty, not finite, or not as wide as the reference.
    """

    features: Features
    reference: Reference
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_features(self.features, f"{self.reference.space} features")
        check_width(self.features.shape[1], self.reference.width, self.reference.space)

    @property
    def reference_features(self) -> npt.NDArray[np.float32]:
        """(m, d). Raises `FeatureError` if the reference carries moments only."""
        if self.reference.features is None:
            raise FeatureError(
                f"the {self.reference.space} reference carries moments but no features, which this metric compares",
                hint="give the reference as images, or build it with features; fd needs moments only",
            )
        return self.reference.features

    @cached_property
    def neighbourhoods(self) -> Neighbourhoods:
        """Third-neighbour balls of both sides, from one sweep."""
        return neighbourhoods(self.features, self.reference_features, device=self.device)
