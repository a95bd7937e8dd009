"""The forms of k-th-neighbour balls that papers use. Imports neither NumPy nor torch: the catalog names them."""

from __future__ import annotations

from typing import NamedTuple


class Balls(NamedTuple):
    """A ball around each point that reaches to its k-th neighbour among its own set."""

    k: int
    strict: bool
    """A point on the surface is outside."""


IMPROVED = Balls(3, strict=False)
"""Improved precision and recall, Kynkäänniemi et al. 2019."""

PRDC = Balls(5, strict=True)
"""Precision, recall, density and coverage, Naeem et al. 2020."""
