"""MaskDiT's denoiser with the official keys: a transformer and its narrow decoder between EDM's preconditioning.

Zheng et al., "Fast Training of Diffusion Models with Masked Transformers" (arXiv:2306.09305); keys of
Anima-Lab/MaskDiT's ``EDMPrecond``.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.preconditioning import edm_scalings
from genbench.methods.transformer.blocks import Block, FinalLayer, modulation
from genbench.methods.transformer.embeddings import (
    PatchEmbed,
    TimestepEmbedder,
    position_embedding,
    unpatchify,
)


class OneHotEmbedder(nn.Module):
    """(N,) labels => (N, width) by a matrix of the one-hot vector; `classes` itself, the null class, is zero."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.embedding_table = nn.Linear(classes, width, bias=False)

    def forward(self, labels: Tensor) -> Tensor:
        """Embed labels from 0 to `classes`, itself included."""
        classes = self.embedding_table.in_features
        one_hot = functional.one_hot(labels, classes + 1)[:, :classes]
        return self.embedding_table(one_hot.to(self.embedding_table.weight.dtype))  # type: ignore[no-any-return]


class MaskDiT(nn.Module):
    """The transformer. Argument names are those of the official constructor, and of its decoder.

    Args:
        input_size: side of the latents.
        patch_size: side p of a patch.
        in_channels: channels C of the latents.
        hidden_size: width D of a token, and of the condition.
        depth: number of blocks.
        num_heads: attention heads; divides `hidden_size`.
        num_classes: classes without the null class, whose index is `num_classes`.
        mlp_ratio: hidden width of an MLP over its tokens'.
        decoder_hidden_size: width of a token of the decoder.
        decoder_depth: blocks of the decoder.
        decoder_num_heads: their heads.
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
        mlp_ratio: float = 4.0,
        decoder_hidden_size: int = 512,
        decoder_depth: int = 8,
        decoder_num_heads: int = 16,
    ) -> None:
        super().__init__()
        side, narrow = input_size // patch_size, decoder_hidden_size
        self.patch_size, self.in_channels = patch_size, in_channels
        self.x_embedder = PatchEmbed(in_channels, patch_size, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = OneHotEmbedder(num_classes, hidden_size)
        self.pos_embed = nn.Parameter(position_embedding(hidden_size, side), requires_grad=False)
        self.blocks = nn.ModuleList(Block(hidden_size, num_heads, mlp_ratio) for _ in range(depth))
        self.decoder_pos_embed = nn.Parameter(position_embedding(narrow, side), requires_grad=False)
        self.decoder_layer = FinalLayer(hidden_size, 1, narrow)
        self.decoder_blocks = nn.ModuleList(
            Block(narrow, decoder_num_heads, mlp_ratio, condition=hidden_size) for _ in range(decoder_depth)
        )
        self.final_layer = FinalLayer(narrow, patch_size, in_channels, condition=modulation(narrow, 2, hidden_size))

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,), labels y (N,) => (N, C, H, W)."""
        condition = self.t_embedder(t) + self.y_embedder(y)
        tokens = self.x_embedder(x) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens, condition)
        tokens = self.decoder_layer(tokens, condition) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            tokens = block(tokens, condition)
        return unpatchify(self.final_layer(tokens, condition), self.patch_size, self.in_channels)


class MaskDiTDenoiser(nn.Module):
    """D(x, σ) of a class; arguments are those of `MaskDiT`."""

    def __init__(self, *, num_classes: int, **arguments: Any) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.model = MaskDiT(num_classes=num_classes, **arguments)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor) -> Tensor:
        """Latents (N, C, H, W) with noise of levels (N,), labels (N,) => the latents, float32 (N, C, H, W)."""
        x, sigma = x.float(), sigma.float()
        return edm_scalings(sigma).denoised(x, lambda inner: self.model(inner, sigma.log() / 4, labels))
