"""Blocks of D-AR's tokenizer, with the official keys (Gao & Shou, arXiv:2505.23660)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.transformer.normalisation import EPSILON
from genbench.methods.transformer.rotary import Rotation

_WIDER = 4
"""Hidden width of an MLP over its width."""


class Attention(nn.Module):
    """Multi-head attention with a projection each for queries, keys and values; queries and keys are normalised."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.head = head
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.q_norm = nn.LayerNorm(head, eps=EPSILON)
        self.k_norm = nn.LayerNorm(head, eps=EPSILON)
        self.proj = nn.Linear(width, width)

    def forward(
        self, x: Tensor, rotation: Rotation | None = None, *, seen: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """Tokens (N, T, width) => (N, T, width), each attending to all of them or to those of `seen` (N, S, width).

        A rotation turns the tokens' queries, and their keys; keys of `seen` have no positions. `mask` (T, T) is true
        where a row may attend.
        """
        source = x if seen is None else seen
        q, k, v = self._heads(self.q(x)), self._heads(self.k(source)), self._heads(self.v(source))
        q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q = rotation.apply(q)
            k = rotation.apply(k) if seen is None else k
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def _heads(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], -1, self.head).transpose(1, 2)


def mlp(width: int) -> nn.Sequential:
    """Linear, SiLU, Linear."""
    hidden = _WIDER * width
    return nn.Sequential(
        OrderedDict(fc1=nn.Linear(width, hidden), act=nn.SiLU(), fc2=nn.Linear(hidden, width))  # the official keys
    )


class GatedBlock(nn.Module):
    """Pre-norm attention and MLP, what each adds weighed by a learned gate a channel."""

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.attention = Attention(width, head)
        self.mlp = mlp(width)
        self.norm1 = nn.LayerNorm(width, eps=EPSILON)
        self.norm2 = nn.LayerNorm(width, eps=EPSILON)
        self.gate1 = nn.Parameter(torch.zeros(width))
        self.gate2 = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, rotation: Rotation | None, mask: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width); `mask` (T, T) is true where a row may attend."""
        x = x + self.gate1 * self.attention(self.norm1(x), rotation, mask=mask)
        return x + self.gate2 * self.mlp(self.norm2(x))  # type: ignore[no-any-return]
