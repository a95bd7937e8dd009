"""The diffusion transformer's block: norm, attention, norm, MLP, modulated by the condition (adaLN-Zero).

Peebles & Xie, "Scalable Diffusion Models with Transformers" (arXiv:2212.09748), section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.transformer.normalisation import EPSILON, layer_norm
from genbench.methods.transformer.rotary import Rotation

Norm = Callable[[int], nn.Module]
"""A norm by the width that it is for."""


class Attention(nn.Module):
    """Multi-head self-attention; one qkv projection laid out as (3, heads, head width).

    Args:
        width: of a token.
        heads: attention heads; divides `width`.
        bias: the qkv projection has one.
        head_norm: norm of each head's queries and keys by the head's width; the identity leaves them.
        rel_pos_bias: gives what is added to every image's scores, (heads, T, T); none adds nothing.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        bias: bool = True,
        head_norm: Norm = nn.Identity,
        rel_pos_bias: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.q_norm = head_norm(width // heads)
        self.k_norm = head_norm(width // heads)
        self.proj = nn.Linear(width, width)
        self.rel_pos_bias = rel_pos_bias

    def forward(self, x: Tensor, rotation: Rotation | None = None) -> Tensor:
        """(N, T, width) => (N, T, width); a rotation turns queries and keys by their tokens' positions."""
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotation.apply(q), rotation.apply(k)
        added = self.rel_pos_bias().to(q.dtype) if self.rel_pos_bias is not None else None
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=added)
        return self.proj(attended.transpose(1, 2).reshape(n, tokens, width))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Linear, tanh-approximated GELU (the exact one if asked for), Linear."""

    def __init__(self, width: int, hidden: int, *, exact: bool = False) -> None:
        super().__init__()
        self.approximate = "none" if exact else "tanh"
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        return self.fc2(functional.gelu(self.fc1(x), approximate=self.approximate))  # type: ignore[no-any-return]


def modulation(width: int, vectors: int, condition: int | None = None) -> nn.Sequential:
    """SiLU then Linear: `vectors` adaptive layer-norm vectors of a condition, whose width is the tokens' or given."""
    return nn.Sequential(nn.SiLU(), nn.Linear(condition or width, vectors * width))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x·(1 + scale) + shift: x (N, T, D), shift and scale (N, 1, D) for an image or (N, T, D) for each token."""
    return x * (1 + scale) + shift


def _by_token(condition: Tensor) -> Tensor:
    """(N, D) => (N, 1, D); a condition of each token (N, T, D) stays."""
    return condition[:, None] if condition.ndim == 2 else condition


class AdaptiveBlock(nn.Module):
    """Pre-norm attention and MLP with adaLN-Zero: shift, scale, gate for the attention, then for the MLP.

    Args:
        attention: of the tokens.
        mlp: of each token.
        norms: before the attention and before the MLP.
        condition: from the condition to six adaptive vectors, or to four (scale, gate twice) without shifts.
    """

    def __init__(
        self, *, attention: Attention, mlp: nn.Module, norms: tuple[nn.Module, nn.Module], condition: nn.Module
    ) -> None:
        super().__init__()
        self.norm1 = norms[0]
        self.attn = attention
        self.norm2 = norms[1]
        self.mlp = mlp
        self.adaLN_modulation = condition

    def forward(self, x: Tensor, condition: Tensor, rotation: Rotation | None = None) -> Tensor:
        """Tokens (N, T, D), condition (N, D) of an image or (N, T, D) of each token => tokens."""
        vectors = self.adaLN_modulation(_by_token(condition))
        six = vectors.shape[-1] == 6 * x.shape[-1]
        if six:
            shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = vectors.chunk(6, dim=-1)
        else:
            scale_a, gate_a, scale_m, gate_m = vectors.chunk(4, dim=-1)
            shift_a = shift_m = torch.zeros((), dtype=x.dtype, device=x.device)
        x = x + gate_a * self.attn(modulate(self.norm1(x), shift_a, scale_a), rotation)
        return x + gate_m * self.mlp(modulate(self.norm2(x), shift_m, scale_m))  # type: ignore[no-any-return]


class PlainBlock(nn.Module):
    """Pre-norm attention and MLP with the exact GELU, no condition: a vision transformer's (arXiv:2010.11929).

    Args:
        width: of a token.
        heads: attention heads.
        mlp_ratio: hidden width of the MLP over `width`.
    """

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(width, eps=EPSILON) for _ in range(2))
        self.attn = Attention(width, heads)
        self.mlp = Mlp(width, int(width * mlp_ratio), exact=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))  # type: ignore[no-any-return]


class Block(AdaptiveBlock):
    """DiT's block: layer norms without weights, tanh-GELU MLP.

    Args:
        width: of a token.
        heads: attention heads.
        mlp_ratio: hidden width of the MLP over `width`.
        condition: width of the condition where it is not the tokens'.
        attention: options of `Attention`.
    """

    def __init__(
        self, width: int, heads: int, mlp_ratio: float, *, condition: int | None = None, **attention: Any
    ) -> None:
        super().__init__(
            attention=Attention(width, heads, **attention),
            mlp=Mlp(width, int(width * mlp_ratio)),
            norms=(layer_norm(width), layer_norm(width)),
            condition=modulation(width, 6, condition),
        )


class FinalLayer(nn.Module):
    """Adaptive norm and the projection of each token to its patch.

    Args:
        width: of a token.
        patch: side of a patch.
        channels: of the output.
        norm: by its width.
        condition: from the condition to shift and scale; SiLU and Linear when none is given.
    """

    def __init__(
        self, width: int, patch: int, channels: int, *, norm: Norm = layer_norm, condition: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.norm_final = norm(width)
        self.linear = nn.Linear(width, patch * patch * channels)
        self.adaLN_modulation = condition or modulation(width, 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens (N, T, D), condition (N, D) of an image or (N, T, D) of each token => (N, T, p·p·C)."""
        shift, scale = self.adaLN_modulation(_by_token(condition)).chunk(2, dim=-1)
        return self.linear(modulate(self.norm_final(x), shift, scale))  # type: ignore[no-any-return]
