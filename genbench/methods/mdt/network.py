"""MDTv2's transformer with the official keys, as it samples: nothing is masked, and the side block is idle.

Gao et al., "Masked Diffusion Transformer is a Strong Image Synthesizer" (arXiv:2303.14389); its second version.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from genbench.methods.dit.network import DiT
from genbench.methods.transformer.blocks import Block
from genbench.methods.transformer.embeddings import position_embedding
from genbench.methods.transformer.rotary import Rotation


class RelativePositionBias(nn.Module):
    """A learned bias of every head for each distance of two cells in rows and columns (BEiT, arXiv:2106.08254)."""

    def __init__(self, side: int, heads: int) -> None:
        super().__init__()
        span = 2 * side - 1
        self.relative_position_bias_table = nn.Parameter(torch.zeros(span**2 + 3, heads))  # three are never looked up
        # On the CPU also where networks are built on the meta device, whose arithmetic imports a compiler.
        place = torch.arange(side**2, device=torch.device("cpu"))
        row, column = ((axis[:, None] - axis + side - 1) for axis in (place // side, place % side))
        self.relative_position_index: Tensor
        self.register_buffer("relative_position_index", row * span + column)

    def forward(self) -> Tensor:
        """(heads, T, T): row i is what query i adds to the score of each key."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


class SkipBlock(Block):
    """DiT's block of tokens that are joined with those of an earlier block; arguments are those of `Block`."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, **options: Any) -> None:
        super().__init__(width, heads, mlp_ratio, **options)
        self.skip_linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, condition: Tensor, rotation: Rotation | None = None) -> Tensor:
        """Tokens and the earlier ones side by side (N, T, 2D), condition (N, D) => tokens (N, T, D)."""
        return super().forward(self.skip_linear(x), condition, rotation)


class MDTv2(DiT):
    """The transformer. Argument names are those of the official constructor.

    Args:
        depth: number of blocks in all, but the side block.
        decode_layer: how many of them are decoder blocks; the others are halves that skips join.
        arguments: of `DiT`.
    """

    def __init__(
        self,
        *,
        input_size: int,
        patch_size: int,
        hidden_size: int,
        depth: int,
        num_heads: int,
        decode_layer: int,
        mlp_ratio: float = 4.0,
        **arguments: Any,
    ) -> None:
        super().__init__(
            input_size=input_size,
            patch_size=patch_size,
            hidden_size=hidden_size,
            depth=0,
            num_heads=num_heads,
            mlp_ratio=mlp_ratio,
            **arguments,
        )
        side, half = input_size // patch_size, (depth - decode_layer) // 2

        def blocks(kind: type[Block], count: int) -> nn.ModuleList:
            bias = partial(RelativePositionBias, side, num_heads)
            return nn.ModuleList(kind(hidden_size, num_heads, mlp_ratio, rel_pos_bias=bias()) for _ in range(count))

        self.en_inblocks = blocks(Block, half)
        self.en_outblocks = blocks(SkipBlock, half)
        self.de_blocks = blocks(SkipBlock, decode_layer)
        self.decoder_pos_embed = nn.Parameter(position_embedding(hidden_size, side))

    def transform(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """Tokens (N, T, D) through both halves, the last in first out, and the decoder, which is joined with them."""
        given, earlier = tokens, []
        for block in self.en_inblocks:
            tokens = block(tokens, condition)
            earlier.append(tokens)
        for block in self.en_outblocks:
            tokens = block(torch.cat([tokens, earlier.pop()], dim=2), condition)
        tokens = tokens + self.decoder_pos_embed
        for block in self.de_blocks:
            tokens = block(torch.cat([tokens, given], dim=2), condition)
        return tokens
