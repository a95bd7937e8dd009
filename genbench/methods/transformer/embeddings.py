"""What enters a diffusion transformer: patches, their positions, the time, the class.

Peebles & Xie, "Scalable Diffusion Models with Transformers" (arXiv:2212.09748).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from genbench.methods.transformer.lookup import lookup_table

FREQUENCIES = 256


def position_embedding(width: int, side: int) -> Tensor:
    """Fixed 2-D sine-cosine embedding, (1, side², width) float32.

    The first half of the width encodes the column, the second half the row; each half is [sin, cos] of width/4
    frequencies 10000^(-k/(width/4)), computed in float64.
    """
    cpu = torch.device("cpu")  # also where networks are built on the meta device, whose arithmetic imports a compiler
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64, device=cpu) / (width / 4))
    angle = torch.arange(side, dtype=torch.float64, device=cpu)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    column = line[None, :].expand(side, side, -1)
    row = line[:, None].expand(side, side, -1)
    return torch.cat([column, row], dim=2).reshape(1, side * side, width).float()


def sinusoids(t: Tensor, width: int, period: float = 10000.0) -> Tensor:
    """Times (N,) => float32 (N, width): the cosines, then the sines, of frequencies period^(-i/(width/2))."""
    half = width // 2
    frequency = torch.exp(-math.log(period) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
    angle = t[:, None].float() * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class TimestepEmbedder(nn.Module):
    """(N,) times => (N, width): F features [cos, sin] of frequencies period^(-2i/F), then Linear, SiLU, Linear."""

    def __init__(self, width: int, period: float = 10000.0, features: int = FREQUENCIES) -> None:
        super().__init__()
        self.period = period
        self.features = features
        self.mlp = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """Embed times given in the method's own units."""
        features = sinusoids(t, self.features, self.period)
        return self.mlp(features.to(next(self.mlp.parameters()).dtype))  # type: ignore[no-any-return]


class LabelEmbedder(nn.Module):
    """(N,) labels => (N, width); the last row of the table is the null class of classifier-free guidance."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = lookup_table(classes + 1, width)

    def forward(self, labels: Tensor) -> Tensor:
        """Look labels up; `classes` itself is the null class."""
        return self.embedding_table(labels)  # type: ignore[no-any-return]


class PatchEmbed(nn.Module):
    """(N, C, H, W) => (N, H·W/p², width) by a convolution of stride p; tokens in row-major order."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """Cut into patches and project."""
        return self.proj(x).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


def unpatchify(tokens: Tensor, patch: int, channels: int) -> Tensor:
    """(N, side², p·p·C) => (N, C, side·p, side·p): each token is its patch as (row, column, channel)."""
    n, count, _ = tokens.shape
    side = math.isqrt(count)
    image = tokens.reshape(n, side, side, patch, patch, channels).permute(0, 5, 1, 3, 2, 4)
    return image.reshape(n, channels, side * patch, side * patch)
