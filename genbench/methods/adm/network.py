"""The ADM U-Net with the keys of OpenAI's consistency models.

Dhariwal & Nichol, "Diffusion Models Beat GANs on Image Synthesis" (arXiv:2105.05233), section 3; Song et al.,
"Consistency Models" (arXiv:2303.01469).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.adm.settings import GROUPS
from genbench.methods.transformer.embeddings import sinusoids

COLOURS = 3


class Condition(NamedTuple):
    """What every residual block is told, each (N, D)."""

    time: Tensor
    """Of the time and the class."""
    target: Tensor | None = None
    """Of the time to which CTM's network jumps."""


class GroupNorm(nn.GroupNorm):
    """In float32, whatever arithmetic surrounds it."""

    def __init__(self, channels: int) -> None:
        super().__init__(GROUPS, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) => the same."""
        return functional.group_norm(x.float(), self.num_groups, self.weight, self.bias, self.eps).to(x.dtype)


class Upsample(nn.Module):
    """(N, C, H, W) => (N, C, 2H, 2W): each pixel four times, then a convolution if there is one."""

    def __init__(self, channels: int, *, convolved: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1) if convolved else None

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge."""
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return x if self.conv is None else self.conv(x)


class Downsample(nn.Module):
    """(N, C, H, W) => (N, C, H/2, W/2) by a convolution of stride 2, or the mean of 2x2 pixels."""

    def __init__(self, channels: int, *, convolved: bool) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1) if convolved else nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce."""
        return self.op(x)  # type: ignore[no-any-return]


class ResBlock(nn.Module):
    """Two convolutions around the condition, and a way past them.

    Args:
        channels: of the input.
        out_channels: of the output.
        embedding: width D of the condition.
        scaled: the condition scales and shifts the second normalisation, instead of being added before it.
        targeted: the block is told CTM's second time.
        resample: what changes the size, on both ways; none where the size stays.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        embedding: int,
        *,
        scaled: bool,
        targeted: bool,
        resample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.scaled = scaled
        self.resample = resample
        self.in_layers = nn.Sequential(GroupNorm(channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1))
        told = 2 * out_channels if scaled else out_channels
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, told))
        self.emb_layers_s = nn.Sequential(nn.SiLU(), nn.Linear(embedding, told)) if targeted else None
        self.out_layers = nn.Sequential(
            GroupNorm(out_channels),
            nn.SiLU(),
            nn.Identity(),  # dropout's place, in training
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip_connection: nn.Module = (
            nn.Identity() if out_channels == channels else nn.Conv2d(channels, out_channels, 1)
        )

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """(N, C, H, W) => (N, C', H', W')."""
        norm, activate, convolve = self.in_layers
        h = activate(norm(x))
        if self.resample is not None:
            h, x = self.resample(h), self.resample(x)
        h = convolve(h)
        told = self._told(condition)[:, :, None, None].to(h.dtype)
        if self.scaled:
            scale, shift = told.chunk(2, dim=1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + told)
        return self.skip_connection(x) + h  # type: ignore[no-any-return]

    def _told(self, condition: Condition) -> Tensor:
        told: Tensor = self.emb_layers(condition.time)
        if self.emb_layers_s is None or condition.target is None:
            return told
        return told + self.emb_layers_s(condition.target)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Self-attention between pixels; the projection's channels are all queries, then all keys, then all values."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = GroupNorm(channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) => the same."""
        n, channels, height, width = x.shape
        qkv = self.qkv(self.norm(x)).view(n, 3, self.heads, channels // self.heads, height * width)
        q, k, v = qkv.transpose(3, 4).unbind(1)
        attended = functional.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(attended.transpose(2, 3).reshape(n, channels, height, width))  # type: ignore[no-any-return]


class Stage(nn.Sequential):
    """Modules of one resolution in turn; residual blocks are told the condition."""

    def forward(self, x: Tensor, condition: Condition) -> Tensor:  # type: ignore[override]
        """(N, C, H, W) => (N, C', H', W')."""
        for module in self:
            x = module(x, condition) if isinstance(module, ResBlock) else module(x)
        return x


class ADMUNet(nn.Module):
    """The U-Net. Argument names are those of the official ``create_model``.

    Args:
        image_size: side of the image in pixels.
        num_channels: width of the first level.
        num_res_blocks: residual blocks of a level on the way down; one more on the way up.
        channel_mult: width of each level over `num_channels`.
        attention_resolutions: sides in pixels at which attention follows a residual block.
        num_head_channels: width of an attention head; none to use `num_heads`.
        num_heads: attention heads, where `num_head_channels` is not given.
        num_classes: classes; none for an unconditional network.
        use_scale_shift_norm: the condition scales and shifts the second normalisation of a block.
        resblock_updown: residual blocks change the resolution, instead of convolutions.
        targeted: blocks are told a second time, as CTM's are.
    """

    def __init__(
        self,
        *,
        image_size: int,
        num_channels: int,
        num_res_blocks: int,
        channel_mult: Sequence[int],
        attention_resolutions: Sequence[int] = (),
        num_head_channels: int | None = None,
        num_heads: int = 4,
        num_classes: int | None = None,
        use_scale_shift_norm: bool = True,
        resblock_updown: bool = True,
        targeted: bool = False,
    ) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.num_head_channels, self.num_heads = num_head_channels, num_heads
        self.embedding = 4 * num_channels
        self.scaled, self.resblock_updown, self.targeted = use_scale_shift_norm, resblock_updown, targeted
        self.time_embed = self._time_embed()
        self.time_embed_s = self._time_embed() if targeted else None
        self.label_emb = None if num_classes is None else _table(num_classes, self.embedding)

        widths = [mult * num_channels for mult in channel_mult]
        attended = [image_size // 2**level in attention_resolutions for level in range(len(widths))]
        self.input_blocks = nn.ModuleList([Stage(nn.Conv2d(COLOURS, widths[0], 3, padding=1))])
        skipped = [widths[0]]
        for stage, width in self._down(widths, attended, num_res_blocks):
            self.input_blocks.append(stage)
            skipped.append(width)
        last = widths[-1]
        self.middle_block = Stage(self._block(last, last), self._attention(last), self._block(last, last))
        self.output_blocks = nn.ModuleList(self._up(widths, attended, num_res_blocks, skipped))
        self.out = nn.Sequential(GroupNorm(widths[0]), nn.SiLU(), nn.Conv2d(widths[0], COLOURS, 3, padding=1))

    def _time_embed(self) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(self.num_channels, self.embedding), nn.SiLU(), nn.Linear(self.embedding, self.embedding)
        )

    def _block(self, channels: int, out_channels: int, resample: nn.Module | None = None) -> ResBlock:
        return ResBlock(
            channels, out_channels, self.embedding, scaled=self.scaled, targeted=self.targeted, resample=resample
        )

    def _attention(self, channels: int) -> Attention:
        return Attention(channels, channels // self.num_head_channels if self.num_head_channels else self.num_heads)

    def _down(self, widths: list[int], attended: list[bool], count: int) -> Iterator[tuple[Stage, int]]:
        """Stages on the way down with the widths of what they give."""
        channels = widths[0]
        for level, width in enumerate(widths):
            for _ in range(count):
                attention = [self._attention(width)] if attended[level] else []
                yield Stage(self._block(channels, width), *attention), width
                channels = width
            if level < len(widths) - 1:
                smaller = Downsample(width, convolved=not self.resblock_updown)
                yield Stage(self._block(width, width, smaller) if self.resblock_updown else smaller), width

    def _up(self, widths: list[int], attended: list[bool], count: int, skipped: list[int]) -> Iterator[Stage]:
        """Stages on the way up; each is given what a stage on the way down gave, last first."""
        channels = widths[-1]
        for level, width in reversed(list(enumerate(widths))):
            for index in range(count + 1):
                stage: list[nn.Module] = [self._block(channels + skipped.pop(), width)]
                channels = width
                if attended[level]:
                    stage.append(self._attention(width))
                if level and index == count:
                    larger = Upsample(width, convolved=not self.resblock_updown)
                    stage.append(self._block(width, width, larger) if self.resblock_updown else larger)
                yield Stage(*stage)

    def forward(self, x: Tensor, t: Tensor, y: Tensor, s: Tensor | None = None) -> Tensor:
        """x (N, 3, H, W), times t (N,), labels y (N,), CTM's second times s (N,) => (N, 3, H, W).

        An unconditional network does not look at `y`.
        """
        condition = self._condition(t, y, s)
        skipped = []
        for stage in self.input_blocks:
            x = stage(x, condition)
            skipped.append(x)
        x = self.middle_block(x, condition)
        for stage in self.output_blocks:
            x = stage(torch.cat([x, skipped.pop()], dim=1), condition)
        return self.out(x)  # type: ignore[no-any-return]

    def _condition(self, t: Tensor, y: Tensor, s: Tensor | None) -> Condition:
        time: Tensor = self.time_embed(sinusoids(t, self.num_channels))
        if self.label_emb is not None:
            time = time + self.label_emb(y)
        if self.time_embed_s is None or s is None:
            return Condition(time)
        return Condition(time, self.time_embed_s(sinusoids(s, self.num_channels)))


def _table(classes: int, width: int) -> nn.Embedding:
    """Without drawing its start, which every weight file replaces."""
    return nn.Embedding(classes, width, _weight=torch.zeros(classes, width))
