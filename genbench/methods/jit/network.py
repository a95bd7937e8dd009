"""JiT's transformer with the official keys.

Li & He, "Back to Basics: Let Denoising Generative Models Denoise" (arXiv:2511.13720).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genbench.methods.transformer.blocks import AdaptiveBlock, Attention, FinalLayer, modulation
from genbench.methods.transformer.embeddings import LabelEmbedder, TimestepEmbedder, position_embedding, unpatchify
from genbench.methods.transformer.normalisation import RMSNorm
from genbench.methods.transformer.rotary import Rotation, grid_rotation
from genbench.methods.transformer.swiglu import SwiGLU


class BottleneckPatchEmbed(nn.Module):
    """(N, C, H, W) => (N, H·W/p², width) through few channels; tokens in row-major order."""

    def __init__(self, channels: int, patch: int, bottleneck: int, width: int) -> None:
        super().__init__()
        self.proj1 = nn.Conv2d(channels, bottleneck, patch, stride=patch, bias=False)
        self.proj2 = nn.Conv2d(bottleneck, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Cut into patches and project twice."""
        return self.proj2(self.proj1(x)).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


def _block(width: int, heads: int, mlp_ratio: float) -> AdaptiveBlock:
    return AdaptiveBlock(
        attention=Attention(width, heads, head_norm=RMSNorm),
        mlp=SwiGLU(width, int(int(width * mlp_ratio) * 2 / 3)),
        norms=(RMSNorm(width), RMSNorm(width)),
        condition=modulation(width, 6),
    )


class JiT(nn.Module):
    """The transformer. Argument names are those of the official constructor.

    Args:
        input_size: side of the image in pixels.
        patch_size: side p of a patch.
        in_channels: channels C of the image.
        hidden_size: width D of a token.
        depth: number of blocks.
        num_heads: attention heads; four times it divides `hidden_size`.
        num_classes: classes without the null class, whose index is `num_classes`.
        bottleneck_dim: channels that a patch passes through on its way in.
        mlp_ratio: hidden width of the MLP over `hidden_size`, before two thirds of it are taken.
        in_context_len: tokens of the class that join those of the image.
        in_context_start: block before which they join.
    """

    def __init__(
        self,
        *,
        input_size: int,
        patch_size: int,
        in_channels: int,
        hidden_size: int,
        depth: int,
        num_heads: int,
        num_classes: int,
        bottleneck_dim: int,
        mlp_ratio: float = 4.0,
        in_context_len: int = 32,
        in_context_start: int = 8,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.num_classes = num_classes
        self.side = input_size // patch_size
        self.head = hidden_size // num_heads
        self.in_context_len = in_context_len
        self.in_context_start = in_context_start
        self.x_embedder = BottleneckPatchEmbed(in_channels, patch_size, bottleneck_dim, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.pos_embed = nn.Parameter(position_embedding(hidden_size, self.side), requires_grad=False)
        self.in_context_posemb = nn.Parameter(torch.zeros(1, in_context_len, hidden_size)) if in_context_len else None
        self.blocks = nn.ModuleList(_block(hidden_size, num_heads, mlp_ratio) for _ in range(depth))
        self.final_layer = FinalLayer(hidden_size, patch_size, in_channels, norm=RMSNorm)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,) in [0, 1], labels y (N,) => the clean image (N, C, H, W)."""
        x = self.x_embedder(x) + self.pos_embed
        label = self.y_embedder(y)
        condition = self.t_embedder(t) + label
        rotation = grid_rotation(self.head, self.side, torch.device(x.device))
        for index, block in enumerate(self.blocks):
            if self.in_context_posemb is not None and index == self.in_context_start:
                x = torch.cat([label[:, None] + self.in_context_posemb, x], dim=1)
                rotation = self.rotation(torch.device(x.device))
            x = block(x, condition, rotation)
        return unpatchify(self.final_layer(x[:, self.in_context_len :], condition), self.patch_size, self.in_channels)

    def rotation(self, device: torch.device) -> Rotation:
        """Of all tokens: those of the class, which come first, do not turn."""
        cos, sin = grid_rotation(self.head, self.side, device)
        still = (self.in_context_len, self.head)
        return Rotation(torch.cat([cos.new_ones(still), cos]), torch.cat([sin.new_zeros(still), sin]))
