"""What is kept of a space of tokens: correlograms and layouts, a thousandth of the tokens. Imports no torch."""

from __future__ import annotations

import dataclasses

from genbench.features.space import Space
from genbench.tokens.grid import LAYOUT_WIDTH, square_grid


def reduced(tokens: Space) -> tuple[Space, Space]:
    """The spaces ``ENCODER/correlogram`` and ``ENCODER/layout`` of a space of tokens (T, D).

    Raises `FeatureError` for tokens that fill no square grid.
    """
    grid = square_grid(tokens.shape[0])
    encoder = tokens.name.removesuffix("/tokens")
    return (
        dataclasses.replace(
            tokens,
            name=f"{encoder}/correlogram",
            shape=(grid.farthest + 1,),
            reduction="correlogram",
            summary=f"mean cosine of two of {tokens.name}'s {grid.height}x{grid.width} tokens, by their distance",
            source=f"Singh et al. 2025 (arXiv:2512.10794); the tokens: {tokens.source}",
        ),
        dataclasses.replace(
            tokens,
            name=f"{encoder}/layout",
            shape=(LAYOUT_WIDTH,),
            reduction="layout",
            summary=f"cosines of 4x4 regions of {tokens.name}'s tokens: which parts of an image resemble which",
            source=f"Shechtman and Irani 2007 (self-similarity); the tokens: {tokens.source}",
        ),
    )
