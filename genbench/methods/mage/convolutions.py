"""MaskGIT's convolutional encoder and decoder with the keys of MAGE's port (Chang et al., arXiv:2202.04200).

They have no attention, and their convolutions no bias but for those around the codebook, after upsampling and the last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


def _norm(groups: int, width: int) -> nn.GroupNorm:
    return nn.GroupNorm(groups, width, eps=1e-6)


def _conv(inside: int, outside: int, kernel: int, *, bias: bool) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, kernel, padding=kernel // 2, bias=bias)


class _ResidualBlock(nn.Module):
    """Norm, SiLU, convolution, twice."""

    def __init__(self, inside: int, outside: int, groups: int) -> None:
        super().__init__()
        self.norm1 = _norm(groups, inside)
        self.conv1 = _conv(inside, outside, 3, bias=False)
        self.norm2 = _norm(groups, outside)
        self.conv2 = _conv(outside, outside, 3, bias=False)
        self.nin_shortcut = _conv(outside, outside, 1, bias=False) if inside != outside else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) => (N, C', h, w).

        Where the width changes, what is added to the branch is a projection of the branch, not of the input: so the
        released weights were trained.
        """
        h = self.conv1(functional.silu(self.norm1(x)))
        h = self.conv2(functional.silu(self.norm2(h)))
        return h + (x if self.nin_shortcut is None else self.nin_shortcut(h))  # type: ignore[no-any-return]


class _Level(nn.Module):
    """Residual blocks of one width, then twice the side by repetition and a convolution where it is to be doubled."""

    def __init__(self, inside: int, outside: int, blocks: int, groups: int, *, doubles: bool = False) -> None:
        super().__init__()
        widths = [inside] + [outside] * (blocks - 1)
        self.block = nn.Sequential(*(_ResidualBlock(width, outside, groups) for width in widths))
        self.upsample = nn.ModuleDict({"conv": _conv(outside, outside, 3, bias=True)}) if doubles else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) => (N, C', h, w), or (N, C', 2h, 2w)."""
        x = self.block(x)
        if self.upsample is None:
            return x
        return self.upsample["conv"](functional.interpolate(x, scale_factor=2.0, mode="nearest"))  # type: ignore[no-any-return]


def _middle(width: int, groups: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict({f"block_{number}": _ResidualBlock(width, width, groups) for number in (1, 2)}))


class Encoder(nn.Module):
    """Images to features, halving the side by means between levels.

    Args:
        widths: channels of each level, finest first.
        blocks: residual blocks of a level.
        groups: of the norms.
        channels: C of the features.
    """

    def __init__(self, widths: Sequence[int], blocks: int, groups: int, channels: int) -> None:
        super().__init__()
        self.conv_in = _conv(3, widths[0], 3, bias=False)
        self.down = nn.ModuleList(
            _Level(inside, outside, blocks, groups)
            for inside, outside in zip([widths[0], *widths[:-1]], widths, strict=True)
        )
        self.mid = _middle(widths[-1], groups)
        self.norm_out = _norm(groups, widths[-1])
        self.conv_out = _conv(widths[-1], channels, 1, bias=True)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) => (N, C, h, w)."""
        x = self.conv_in(images)
        for number, level in enumerate(self.down):
            x = level(functional.avg_pool2d(x, 2) if number else x)
        return self.conv_out(functional.silu(self.norm_out(self.mid(x))))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Features to images, doubling the side after every level but the finest; arguments as `Encoder`."""

    def __init__(self, widths: Sequence[int], blocks: int, groups: int, channels: int) -> None:
        super().__init__()
        self.conv_in = _conv(channels, widths[-1], 3, bias=True)
        self.mid = _middle(widths[-1], groups)
        self.up = nn.ModuleList(
            _Level(inside, outside, blocks, groups, doubles=number > 0)
            for number, (inside, outside) in enumerate(zip([*widths[1:], widths[-1]], widths, strict=True))
        )
        self.norm_out = _norm(groups, widths[0])
        self.conv_out = _conv(widths[0], 3, 3, bias=True)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, h, w) => (N, 3, H, W)."""
        x = self.mid(self.conv_in(features))
        for level in reversed(self.up):
            x = level(x)
        return self.conv_out(functional.silu(self.norm_out(x)))  # type: ignore[no-any-return]
