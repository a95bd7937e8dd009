"""FlexVAR's transformer with the official keys (Jiao et al., arXiv:2502.20313; repository jiaosiyu1999/FlexVAR)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.var.network import ScaleTransformer

_TABLE = 32
"""Side of the table of positions in every release."""


class FlexVAR(ScaleTransformer):
    """VAR's transformer without anything of a scale's own: a token's position is the mean of a table over its cell.

    No weight depends on `patch_nums`, which may be another list for each sampler.
    """

    def add_places(self, embed_dim: int) -> None:
        """Register the table of positions."""
        self.pos_1LC = nn.Parameter(torch.zeros(1, embed_dim, _TABLE, _TABLE))

    def places(self, scale: int | None) -> Tensor:
        """Positions of a scale's tokens, (1, p², D), or of all, (1, T, D)."""
        sides = self.patch_nums if scale is None else self.patch_nums[scale : scale + 1]
        tables = [functional.interpolate(self.pos_1LC, size=(side, side), mode="area") for side in sides]
        return torch.cat([table.flatten(2).transpose(1, 2) for table in tables], dim=1)
