"""Rotary positions of image tokens: adjacent pairs of a head's channels turn by angles of their row and column.

Su et al., "RoFormer" (arXiv:2104.09864), in two dimensions, or in its own one for tokens on a line. A rotation is its
cosines and sines, each (tokens, head width), every angle standing twice.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

BASE = 10000.0
EXTENT = 16.0
"""Side of the square that `scaled_rotation` lays every grid over."""


class Rotation(NamedTuple):
    """How the channels of each token turn."""

    cos: Tensor
    """(T, head width)."""
    sin: Tensor
    """(T, head width)."""

    def apply(self, x: Tensor) -> Tensor:
        """(N, heads, T, head width) => the same, each pair (a, b) turned."""
        turned = torch.stack([-x[..., 1::2], x[..., ::2]], dim=-1).flatten(-2)
        return x * self.cos + turned * self.sin


def rotation(angles: Tensor) -> Rotation:
    """The rotation by angles (T, head width / 2), one for each pair."""
    twice = angles.repeat_interleave(2, dim=1)
    return Rotation(twice.cos(), twice.sin())


def line_rotation(head: int, length: int, device: torch.device) -> Rotation:
    """By integer positions from 0 on a line: every pair of the head turns, at frequencies 10000^(-2i / head)."""
    frequency = BASE ** -(torch.arange(0, head, 2, dtype=torch.float32, device=device) / head)
    return rotation(torch.arange(length, dtype=torch.float32, device=device)[:, None] * frequency)


def grid_rotation(head: int, side: int, device: torch.device) -> Rotation:
    """By integer positions: the first half of the head turns by the row, the second by the column.

    Frequencies 10000^(-2i / (head / 2)) (LightningDiT's, after EVA-02).
    """
    half = head // 2
    frequency = BASE ** -(torch.arange(0, half, 2, dtype=torch.float32, device=device) / half)
    line = torch.arange(side, dtype=torch.float32, device=device)[:, None] * frequency
    row = line[:, None].expand(side, side, -1)
    column = line[None].expand(side, side, -1)
    return rotation(torch.cat([row, column], dim=2).flatten(0, 1))


def scaled_rotation(head: int, height: int, width: int, device: torch.device) -> Rotation:
    """By positions that run from 0 to 16 over any grid: pairs turn by the column and the row in alternation.

    Frequencies 10000^(-4i / head) (DDT's, after FlowDCN).
    """
    frequency = BASE ** -(torch.arange(0, head, 4, dtype=torch.float32, device=device) / head)
    column, row = (torch.linspace(0, EXTENT, n, device=device)[:, None] * frequency for n in (width, height))
    both = torch.stack([column[None].expand(height, width, -1), row[:, None].expand(height, width, -1)], dim=-1)
    return rotation(both.flatten(2).flatten(0, 1))


class RotationTable(nn.Module):
    """The grid's rotation as the buffers `freqs_cos` and `freqs_sin` that checkpoints carry."""

    def __init__(self, head: int, side: int) -> None:
        super().__init__()
        # On the CPU also where networks are built on the meta device, whose arithmetic imports a compiler.
        cos, sin = grid_rotation(head, side, torch.device("cpu"))
        self.freqs_cos: Tensor
        self.freqs_sin: Tensor
        self.register_buffer("freqs_cos", cos)
        self.register_buffer("freqs_sin", sin)

    def forward(self) -> Rotation:
        """The rotation of every token."""
        return Rotation(self.freqs_cos, self.freqs_sin)
