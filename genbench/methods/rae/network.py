"""RAE's DiT^DH with the official keys: a deep encoder, and a shallow wide head that its tokens modulate.

Zheng et al., "Diffusion Transformers with Representation Autoencoders" (arXiv:2510.11690).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.autoguidance import GuidedNetwork
from genbench.methods.lightningdit.network import lightning_block
from genbench.methods.transformer.blocks import FinalLayer, Norm
from genbench.methods.transformer.embeddings import (
    FREQUENCIES,
    LabelEmbedder,
    PatchEmbed,
    position_embedding,
    unpatchify,
)
from genbench.methods.transformer.normalisation import RMSNorm, layer_norm
from genbench.methods.transformer.rotary import RotationTable


class FourierEmbedder(nn.Module):
    """(N,) times => (N, width): [sin, cos] of 2πtW for 256 stored random frequencies W, then Linear, SiLU, Linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.empty(FREQUENCIES), requires_grad=False)
        self.mlp = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """Embed times in [0, 1]."""
        angle = 2 * math.pi * t[:, None].float() * self.W
        return self.mlp(torch.cat([angle.sin(), angle.cos()], dim=1))  # type: ignore[no-any-return]


class DiTDH(GuidedNetwork):
    """The transformer. Argument names are those of the official constructor; pairs are (encoder, head).

    Args:
        input_size: side of the latents, each cell of which is a token.
        in_channels: channels C of the latents.
        hidden_size: widths of a token.
        depth: numbers of blocks.
        num_heads: attention heads.
        num_classes: classes without the null class, whose index is `num_classes`.
        mlp_ratio: hidden width of an MLP over the token's; two thirds of it with `use_swiglu`.
        use_qknorm: each head's queries and keys are normed.
        use_swiglu: gated MLPs instead of GELU.
        use_rope: rotary positions.
        use_rmsnorm: RMS norms with weights instead of layer norms without.
        use_pos_embed: fixed positions are added to the encoder's tokens.
        guide: arguments of the weaker network of autoguidance, whose keys begin with ``guide.``; none without one.
    """

    def __init__(
        self,
        *,
        input_size: int,
        in_channels: int,
        hidden_size: Sequence[int],
        depth: Sequence[int],
        num_heads: Sequence[int],
        num_classes: int,
        mlp_ratio: float = 4.0,
        use_qknorm: bool = False,
        use_swiglu: bool = True,
        use_rope: bool = True,
        use_rmsnorm: bool = True,
        use_pos_embed: bool = True,
        guide: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        (encoder, head), tables = hidden_size, zip(hidden_size, num_heads, strict=True)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.encoder_depth = depth[0]
        self.s_embedder = PatchEmbed(in_channels, 1, encoder)
        self.x_embedder = PatchEmbed(in_channels, 1, head)
        self.s_projector = nn.Linear(encoder, head) if encoder != head else nn.Identity()
        self.t_embedder = FourierEmbedder(encoder)
        self.y_embedder = LabelEmbedder(num_classes, encoder)
        self.pos_embed = (
            nn.Parameter(position_embedding(encoder, input_size), requires_grad=False) if use_pos_embed else None
        )
        self.enc_feat_rope, self.dec_feat_rope = (
            RotationTable(width // heads, input_size) if use_rope else None for width, heads in tables
        )
        self.blocks = nn.ModuleList(
            lightning_block(
                width, heads, mlp_ratio, use_qknorm=use_qknorm, use_swiglu=use_swiglu, use_rmsnorm=use_rmsnorm
            )
            for width, heads, blocks in zip(hidden_size, num_heads, depth, strict=True)
            for _ in range(blocks)
        )
        norm: Norm = RMSNorm if use_rmsnorm else layer_norm
        self.final_layer = FinalLayer(head, 1, in_channels, norm=norm)
        self.guide = DiTDH(**guide) if guide is not None else None

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,) in [0, 1], labels y (N,) => velocity (N, C, H, W)."""
        time = self.embed_time(t)
        condition = functional.silu(time + self.y_embedder(y))  # the blocks take its SiLU again
        state = self.s_embedder(x)
        if self.pos_embed is not None:
            state = state + self.pos_embed
        rotation = self.enc_feat_rope() if self.enc_feat_rope is not None else None
        for block in self.blocks[: self.encoder_depth]:
            state = block(state, condition, rotation)
        state = self.s_projector(functional.silu(time[:, None] + state))
        tokens = self.x_embedder(x)
        rotation = self.dec_feat_rope() if self.dec_feat_rope is not None else None
        for block in self.blocks[self.encoder_depth :]:
            tokens = block(tokens, state, rotation)
        return unpatchify(self.final_layer(tokens, state), 1, self.in_channels)

    def embed_time(self, t: Tensor) -> Tensor:
        """Times (N,) => (N, D)."""
        return self.t_embedder(t)  # type: ignore[no-any-return]
