"""What EDM's U-Nets are made of; keys are those of its ``training/networks.py``.

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (arXiv:2206.00364), appendix F.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from genbench.errors import ConfigError

Resampling = Literal["up", "down"]
AttentionLayout = Literal["interleaved", "thirds"]
"""Order of the channels of q, k and v: ``interleaved`` by head, channel, then q, k, v (EDM); ``thirds`` all of q, then
all of k, then all of v."""

_CPU = torch.device("cpu")  # also where networks are built on the meta device: fixed buffers keep their values


def group_norm(channels: int, eps: float) -> nn.GroupNorm:
    """With 32 groups, or fewer so that a group has at least four channels.

    Raises `ConfigError` when the groups do not divide the channels.
    """
    groups = min(32, channels // 4)
    if groups == 0 or channels % groups:
        raise ConfigError(
            f"{channels} channels cannot be normalised in {max(groups, 1)} groups of four or more",
            hint="choose model_channels and channel_mult whose products are multiples of 4, above 128 of 32",
        )
    return nn.GroupNorm(groups, channels, eps=eps)


class PositionalEmbedding(nn.Module):
    """Noise levels (N,) => (N, channels), [cos, sin] of frequencies 10000^(-i/half).

    With `endpoint` the frequencies go down to 1/10000 itself: the half counts one less.
    """

    def __init__(self, channels: int, *, endpoint: bool) -> None:
        super().__init__()
        self.frequencies = channels // 2
        self.last = self.frequencies - endpoint

    def forward(self, x: Tensor) -> Tensor:
        """Embed numbers of any size."""
        exponent = torch.arange(self.frequencies, dtype=torch.float32, device=x.device) / self.last
        angle = x.float()[:, None] * (1 / 10000) ** exponent
        return torch.cat([angle.cos(), angle.sin()], dim=1)


class FourierEmbedding(nn.Module):
    """Noise levels (N,) => (N, channels), [cos, sin] of random frequencies, which the weight file holds."""

    freqs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("freqs", torch.zeros(channels // 2))

    def forward(self, x: Tensor) -> Tensor:
        """Embed numbers of any size."""
        angle = x.float()[:, None] * (2 * math.pi * self.freqs)
        return torch.cat([angle.cos(), angle.sin()], dim=1)


def square_filter(taps: Sequence[float]) -> Tensor:
    """A separable filter of unit sum, (1, 1, K, K)."""
    line = torch.tensor(taps, dtype=torch.float32, device=_CPU)
    return torch.outer(line, line)[None, None] / line.sum() ** 2


def resampled(x: Tensor, square: Tensor, way: Resampling, padding: int) -> Tensor:
    """Every channel of (N, C, H, W) through a filter (1, 1, K, K), at twice or half the resolution."""
    channels = x.shape[1]
    taps = square.expand(channels, -1, -1, -1)
    if way == "up":
        return F.conv_transpose2d(x, 4 * taps, stride=2, padding=padding, groups=channels)
    return F.conv2d(x, taps, stride=2, padding=padding, groups=channels)


class Resample(nn.Module):
    """Twice or half the resolution through a fixed filter."""

    resample_filter: Tensor

    def __init__(self, way: Resampling, taps: Sequence[float]) -> None:
        super().__init__()
        self.way = way
        self.reach = (len(taps) - 1) // 2
        self.register_buffer("resample_filter", square_filter(taps))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), twice or half as high and wide."""
        return resampled(x, self.resample_filter, self.way, self.reach)


class Conv(nn.Conv2d):
    """A convolution of odd `kernel` that keeps the resolution, or that follows a filter which doubles or halves it.

    With `filter_last` the filter comes after the convolution, at whose border both are padded (EDM's
    ``fused_resample``).
    """

    resample_filter: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        resample: Resampling | None = None,
        taps: Sequence[float] = (1, 1),
        filter_last: bool = False,
    ) -> None:
        reach = (len(taps) - 1) // 2
        super().__init__(in_channels, out_channels, kernel, padding=kernel // 2 + (reach if filter_last else 0))
        self.reach = reach
        self.resample = resample
        self.filter_last = filter_last
        self.register_buffer("resample_filter", square_filter(taps) if resample else None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) => (N, out, H, W), or twice or half as high and wide."""
        if self.resample is None or self.resample_filter is None:
            return super().forward(x)
        if self.filter_last:
            return resampled(super().forward(x), self.resample_filter, self.resample, 0)
        return super().forward(resampled(x, self.resample_filter, self.resample, self.reach))


class UNetBlock(nn.Module):
    """A residual block that the embedding modulates, with self-attention after it where it has heads."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        emb_channels: int,
        *,
        heads: int = 0,
        resample: Resampling | None = None,
        taps: Sequence[float] = (1, 1),
        project_resampled: bool = False,
        scale_and_shift: bool = True,
        skip_scale: float = 1.0,
        eps: float = 1e-5,
        layout: AttentionLayout = "interleaved",
    ) -> None:
        """`project_resampled`: a 1x1 convolution in the skip path of blocks that resample and keep their channels.
        `scale_and_shift`: the embedding modulates the second normalisation; otherwise it is added before it.
        """
        super().__init__()
        self.heads = heads
        self.scale_and_shift = scale_and_shift
        self.skip_scale = skip_scale
        self.layout = layout
        self.norm0 = group_norm(in_channels, eps)
        self.conv0 = Conv(in_channels, out_channels, 3, resample=resample, taps=taps)
        self.affine = nn.Linear(emb_channels, out_channels * (2 if scale_and_shift else 1))
        self.norm1 = group_norm(out_channels, eps)
        self.conv1 = Conv(out_channels, out_channels, 3)
        self.skip: Conv | Resample | None = None
        if out_channels != in_channels or (resample and project_resampled):
            self.skip = Conv(in_channels, out_channels, 1, resample=resample, taps=taps)
        elif resample:
            self.skip = Resample(resample, taps)
        if heads:
            self.norm2 = group_norm(out_channels, eps)
            self.qkv = Conv(out_channels, 3 * out_channels, 1)
            self.proj = Conv(out_channels, out_channels, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """(N, in, H, W) and embeddings (N, emb_channels) => (N, out, H, W), or twice or half as high and wide."""
        h = self.conv0(F.silu(self.norm0(x)))
        modulation = self.told(emb)[:, :, None, None]
        if self.scale_and_shift:
            scale, shift = modulation.chunk(2, dim=1)
            h = F.silu(shift + self.norm1(h) * (scale + 1))
        else:
            h = F.silu(self.norm1(h + modulation))
        x = (self.conv1(h) + (x if self.skip is None else self.skip(x))) * self.skip_scale
        if self.heads:
            x = (self.proj(self._attended(self.qkv(self.norm2(x)))) + x) * self.skip_scale
        return x

    def told(self, emb: Tensor) -> Tensor:
        """What embeddings (N, E) tell the block: shifts, or scales and shifts, of its channels."""
        return self.affine(emb)  # type: ignore[no-any-return]

    def _attended(self, qkv: Tensor) -> Tensor:
        count, channels, height, width = qkv.shape
        if self.layout == "interleaved":
            parts = qkv.reshape(count, self.heads, -1, 3, height * width).unbind(3)
        else:
            parts = qkv.reshape(count, 3, self.heads, -1, height * width).unbind(1)
        q, k, v = (part.transpose(2, 3) for part in parts)
        attended = F.scaled_dot_product_attention(q, k, v)
        return attended.transpose(2, 3).reshape(count, channels // 3, height, width)
