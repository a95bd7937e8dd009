"""The lattice that an image's patch tokens lie on. Spaces are listed from it: it imports neither NumPy nor torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from genbench.errors import FeatureError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

REGIONS = 4
"""Regions a side that a layout is of."""
LAYOUT_WIDTH = REGIONS**2 * (REGIONS**2 - 1) // 2
"""Pairs of regions: 120."""


class Grid(NamedTuple):
    """The lattice of an image's tokens. Distances on it are Manhattan: steps down plus steps across."""

    height: int
    width: int

    @property
    def tokens(self) -> int:
        """T."""
        return self.height * self.width

    @property
    def farthest(self) -> int:
        """The distance of opposite corners."""
        return self.height + self.width - 2

    @property
    def pairs(self) -> npt.NDArray[np.int64]:
        """(farthest + 1,): ordered pairs of tokens at distance 0, 1, …; their sum is T²."""
        import numpy as np

        return np.convolve(_pairs_along(self.height), _pairs_along(self.width))


def _pairs_along(side: int) -> npt.NDArray[np.int64]:
    """(side,): ordered pairs of positions on a line that are 0, 1, … apart."""
    import numpy as np

    pairs = 2 * (side - np.arange(side, dtype=np.int64))
    pairs[0] = side
    return pairs


def square_grid(tokens: int) -> Grid:
    """The square lattice of that many tokens. Raises `FeatureError` if there is none."""
    side = math.isqrt(max(tokens, 0))
    if side == 0 or side * side != tokens:
        raise FeatureError(
            f"{tokens} tokens an image are no square grid",
            hint="drop class and register tokens, or give the grid's height and width",
        )
    return Grid(side, side)


def square_grid_of_correlogram(distances: int) -> Grid:
    """The square lattice whose correlogram has so many entries, 2·side - 1. Raises `FeatureError` if there is none."""
    side, odd = divmod(distances + 1, 2)
    if odd or side < 1:
        raise FeatureError(
            f"{distances} distances are not those of a square grid, which has 2·side - 1",
            hint="take the correlogram of a space whose tokens lie on a square grid",
        )
    return Grid(side, side)
