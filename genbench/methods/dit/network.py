"""The DiT transformer with the official keys: the network of DiT, SiT and the methods that train it otherwise.

Peebles & Xie, "Scalable Diffusion Models with Transformers" (arXiv:2212.09748).
"""

from __future__ import annotations

from torch import Tensor, nn

from genbench.methods.transformer.blocks import Block, FinalLayer
from genbench.methods.transformer.embeddings import (
    LabelEmbedder,
    PatchEmbed,
    TimestepEmbedder,
    position_embedding,
    unpatchify,
)


class DiT(nn.Module):
    """The transformer. Argument names are those of the official constructor.

    Args:
        input_size: side of the input in pixels or latent cells.
        patch_size: side p of a patch.
        in_channels: channels C of the input.
        hidden_size: width D of a token.
        depth: number of blocks.
        num_heads: attention heads; divides `hidden_size`.
        mlp_ratio: hidden width of the MLP over `hidden_size`.
        num_classes: classes without the null class, whose index is `num_classes`.
        learn_sigma: the network has 2C output channels (C mean, C variance).
        qk_norm: each head's queries and keys pass a layer norm with weights.
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
        learn_sigma: bool = True,
        qk_norm: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = 2 * in_channels if learn_sigma else in_channels
        self.patch_size = patch_size
        self.num_classes = num_classes
        self.x_embedder = PatchEmbed(in_channels, patch_size, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.pos_embed = nn.Parameter(position_embedding(hidden_size, input_size // patch_size), requires_grad=False)
        head_norm = nn.LayerNorm if qk_norm else nn.Identity
        self.blocks = nn.ModuleList(Block(hidden_size, num_heads, mlp_ratio, head_norm=head_norm) for _ in range(depth))
        self.final_layer = FinalLayer(hidden_size, patch_size, self.out_channels)

    def unpatchify(self, x: Tensor) -> Tensor:
        """(N, T, p·p·C) => (N, C, H, W)."""
        return unpatchify(x, self.patch_size, self.out_channels)

    def embed_time(self, t: Tensor) -> Tensor:
        """Times (N,) in the method's own units => (N, D)."""
        return self.t_embedder(t)  # type: ignore[no-any-return]

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,), labels y (N,) => (N, C, H, W), or 2C channels with `learn_sigma`."""
        condition = self.embed_time(t) + self.y_embedder(y)
        tokens = self.transform(self.x_embedder(x) + self.pos_embed, condition)
        return self.unpatchify(self.final_layer(tokens, condition))

    def transform(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Tokens (N, T, D) through every block under the condition (N, D)."""
        for block in self.blocks:
            tokens = block(tokens, condition)
        return tokens
