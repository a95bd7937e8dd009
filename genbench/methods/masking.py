"""How many tokens masked generation leaves masked (MaskGIT; Chang et al., arXiv:2202.04200). Imports no torch."""

from __future__ import annotations

import math


def masked_after(iteration: int, iterations: int, masked: int, tokens: int) -> int:
    """Of all `tokens`, those that the cosine schedule leaves masked after an iteration, counted from 0.

    At least one, and fewer than the `masked` of now where these are more.
    """
    return max(1, min(masked - 1, math.floor(tokens * math.cos(math.pi / 2 * (iteration + 1) / iterations))))
