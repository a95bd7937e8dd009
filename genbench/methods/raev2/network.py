"""RAEv2's DiT^DH with the official keys: time and class are tokens, and an early head gives a weaker estimate.

Singh et al., "Improved Baselines with Representation Autoencoders" (arXiv:2605.18324); keys of nanovisionx/RAEv2's
``DiTwDDTHeadIG``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.rae.network import FourierEmbedder
from genbench.methods.transformer.blocks import modulate, modulation
from genbench.methods.transformer.embeddings import LabelEmbedder, PatchEmbed, unpatchify
from genbench.methods.transformer.normalisation import RMSNorm
from genbench.methods.transformer.rotary import Rotation, RotationTable


class TimeTokens(FourierEmbedder):
    """`FourierEmbedder`, and tokens that its embedding is added to."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__(width)
        self.learnable_tokens = nn.Parameter(torch.zeros(count, width))


class ClassTokens(LabelEmbedder):
    """`LabelEmbedder`, and tokens that its embedding is added to."""

    def __init__(self, classes: int, width: int, count: int) -> None:
        super().__init__(classes, width)
        self.learnable_tokens = nn.Parameter(torch.zeros(count, width))


class GridAndTokens(RotationTable):
    """The grid's rotation, and behind it that of tokens which do not turn."""

    def __init__(self, head: int, side: int, count: int) -> None:
        super().__init__(head, side)
        self.freqs_cos = torch.cat([self.freqs_cos, self.freqs_cos.new_ones(count, head)])
        self.freqs_sin = torch.cat([self.freqs_sin, self.freqs_sin.new_zeros(count, head)])


class SplitAttention(nn.Module):
    """Self-attention with a Linear each for query, key and value, the first two normed and turned."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(width, width) for _ in range(4))
        self.q_norm, self.k_norm = (RMSNorm(width // heads) for _ in range(2))

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        q, k, v = (part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q, self.k, self.v))
        q, k = rotation.apply(self.q_norm(q)), rotation.apply(self.k_norm(k))
        attended = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class SplitSwiGLU(nn.Module):
    """SiLU of one projection times another, a Linear each, and one back."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w1, self.w2, self.w3 = nn.Linear(width, hidden), nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        return self.w3(functional.silu(self.w1(x)) * self.w2(x))  # type: ignore[no-any-return]


class EncoderBlock(nn.Module):
    """Pre-norm attention and MLP that no condition modulates."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)
        self.attn = SplitAttention(width, heads)
        self.mlp = SplitSwiGLU(width, int(2 / 3 * width * mlp_ratio))

    def forward(self, x: Tensor, rotation: Rotation) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        x = x + self.attn(self.norm1(x), rotation)
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class HeadBlock(EncoderBlock):
    """The same with six adaptive vectors for each token."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__(width, heads, mlp_ratio)
        self.adaln_modulation = modulation(width, 6)

    def forward(self, x: Tensor, condition: Tensor, rotation: Rotation) -> Tensor:  # type: ignore[override]
        """Tokens (N, T, width) and a condition of each (N, T, width) => tokens."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaln_modulation(condition).chunk(6, dim=-1)
        x = x + gate_a * self.attn(modulate(self.norm1(x), shift_a, scale_a), rotation)
        return x + gate_m * self.mlp(modulate(self.norm2(x), shift_m, scale_m))  # type: ignore[no-any-return]


class Head(nn.Module):
    """Adaptive norm of each token and its projection to channels."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.norm = RMSNorm(width)
        self.linear = nn.Linear(width, channels)
        self.adaln_modulation = modulation(width, 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens (N, T, width) and a condition of each (N, T, width) => (N, T, C)."""
        shift, scale = self.adaln_modulation(condition).chunk(2, dim=-1)
        return self.linear(modulate(self.norm(x), shift, scale))  # type: ignore[no-any-return]


class InContextDiTDH(nn.Module):
    """The transformer. Argument names are those of the official constructor; pairs are (encoder, head).

    Args:
        input_size: side of the latents, each cell of which is a token.
        in_channels: channels C of the latents.
        hidden_size: widths of a token.
        depth: numbers of blocks.
        num_heads: attention heads.
        num_classes: classes without the null class, whose index is `num_classes`.
        mlp_ratio: two thirds of it are the hidden width of an MLP over the token's.
        num_t_tokens: how many tokens tell the encoder the time.
        num_c_tokens: how many tell it the class.
        base_model_depth: after how many blocks of the encoder the early head takes its tokens.
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
        num_t_tokens: int = 4,
        num_c_tokens: int = 8,
        base_model_depth: int = 8,
    ) -> None:
        super().__init__()
        (encoder, head), heads = hidden_size, num_heads
        self.in_channels, self.num_classes = in_channels, num_classes
        self.encoder_depth, self.base_depth = depth[0], base_model_depth
        self.s_embedder, self.x_embedder = (PatchEmbed(in_channels, 1, width) for width in hidden_size)
        self.s_projector = nn.Linear(encoder, head) if encoder != head else nn.Identity()
        self.t_embedder = TimeTokens(encoder, num_t_tokens)
        self.ctx_embedder = ClassTokens(num_classes, encoder, num_c_tokens)
        self.blocks = nn.ModuleList(
            [EncoderBlock(encoder, heads[0], mlp_ratio) for _ in range(depth[0])]
            + [HeadBlock(head, heads[1], mlp_ratio) for _ in range(depth[1])]
        )
        self.final_layer = Head(head, in_channels)
        self.base_final_layer = Head(encoder, in_channels)
        self.enc_rope = GridAndTokens(encoder // heads[0], input_size, num_t_tokens + num_c_tokens)
        self.dec_rope = RotationTable(head // heads[1], input_size)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,), labels y (N,) => (N, 2C, H, W): the head's estimate, then the early one."""
        cells = x.shape[2] * x.shape[3]
        time = self.t_embedder(t)[:, None]
        told = [self.t_embedder.learnable_tokens + time]
        told.append(self.ctx_embedder.learnable_tokens + self.ctx_embedder(y)[:, None])
        state, rotation = torch.cat([self.s_embedder(x), *told], dim=1), self.enc_rope()
        for block in self.blocks[: self.base_depth]:
            state = block(state, rotation)
        early = functional.silu(time + state[:, :cells])
        for block in self.blocks[self.base_depth : self.encoder_depth]:
            state = block(state, rotation)
        condition = self.s_projector(functional.silu(time + state[:, :cells]))
        tokens, rotation = self.x_embedder(x), self.dec_rope()
        for block in self.blocks[self.encoder_depth :]:
            tokens = block(tokens, condition, rotation)
        both = torch.cat([self.final_layer(tokens, condition), self.base_final_layer(early, early)], dim=2)
        return unpatchify(both, 1, 2 * self.in_channels)
