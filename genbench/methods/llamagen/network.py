"""LlamaGen's transformer with the official keys (Sun et al., arXiv:2406.06525)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.transformer.cache import KeyValueCache
from genbench.methods.transformer.embeddings import LabelEmbedder
from genbench.methods.transformer.lookup import lookup_table
from genbench.methods.transformer.normalisation import RMSNorm
from genbench.methods.transformer.rotary import Rotation, grid_rotation


class _Attention(nn.Module):
    """Causal multi-head attention of rotated queries and keys, without biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.wqkv = nn.Linear(width, 3 * width, bias=False)
        self.wo = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, rotation: Rotation, cache: KeyValueCache | None) -> Tensor:
        """(N, T, width) => (N, T, width): all tokens, or with a cache the one that follows those it has."""
        q, k, v = self.wqkv(x).view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = rotation.apply(q).to(v.dtype), rotation.apply(k).to(v.dtype)  # turned in float32
        if cache is not None:
            k, v = cache.extend(k, v)
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=cache is None)
        return self.wo(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class _FeedForward(nn.Module):
    """Linear of SiLU of one projection times another (Shazeer, arXiv:2002.05202), without biases."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))  # type: ignore[no-any-return]


class _Layer(nn.Module):
    """Pre-norm attention and feed-forward."""

    def __init__(self, width: int, heads: int, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.attention = _Attention(width, heads)
        self.feed_forward = _FeedForward(width, hidden)
        self.attention_norm = RMSNorm(width, epsilon)
        self.ffn_norm = RMSNorm(width, epsilon)

    def forward(self, x: Tensor, rotation: Rotation, cache: KeyValueCache | None) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        x = x + self.attention(self.attention_norm(x), rotation, cache)
        return x + self.feed_forward(self.ffn_norm(x))  # type: ignore[no-any-return]


class LlamaGen(nn.Module):
    """The transformer. Argument names are those of the official constructor; T is `block_size`.

    Args:
        dim: width D of a token.
        n_layer: number of layers.
        n_head: attention heads; divides `dim`.
        num_classes: classes without the null class, whose index is `num_classes`.
        block_size: tokens of an image, a square grid in row-major order.
        vocab_size: entries K of the tokenizer's codebook.
        multiple_of: the hidden width of the feed-forward, 8/3·D, is rounded up to a multiple of it.
        norm_eps: of every norm.
    """

    def __init__(
        self,
        *,
        dim: int,
        n_layer: int,
        n_head: int,
        num_classes: int,
        block_size: int = 256,
        vocab_size: int = 16384,
        multiple_of: int = 256,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.block_size = block_size
        self.head_width = dim // n_head
        hidden = math.ceil(int(8 * dim / 3) / multiple_of) * multiple_of
        self.cls_embedding = LabelEmbedder(num_classes, dim)
        self.tok_embeddings = lookup_table(vocab_size, dim)
        self.layers = nn.ModuleList(_Layer(dim, n_head, hidden, norm_eps) for _ in range(n_layer))
        self.norm = RMSNorm(dim, norm_eps)
        self.output = nn.Linear(dim, vocab_size, bias=False)

    def rotation(self, device: torch.device) -> Rotation:
        """Of the class and of every token, (1 + T, head width).

        The authors' table has no cosine and no sine for the class: its query and key vanish, every token attends to it
        with a logit of 0.
        """
        cos, sin = grid_rotation(self.head_width, math.isqrt(self.block_size), device)
        return Rotation(functional.pad(cos, (0, 0, 1, 0)), functional.pad(sin, (0, 0, 1, 0)))

    def forward(self, labels: Tensor, indices: Tensor) -> Tensor:
        """Every token at once, each attending to those before it, as in training.

        Labels (N,), indices (N, T) => logits of the token after the class and after each token, (N, 1 + T, K).
        """
        x = torch.cat([self.cls_embedding(labels)[:, None], self.tok_embeddings(indices)], dim=1)
        return self._logits(x, self.rotation(x.device), None)

    def step(self, embedded: Tensor, position: Rotation, caches: Sequence[KeyValueCache]) -> Tensor:
        """One more token: its embedding (N, D) and the rotation of its place => logits of the next one, (N, K).

        `caches`, from `caches()`, hold the keys and values of those before it, and of it afterwards.
        """
        return self._logits(embedded[:, None], position, caches)[:, 0]

    def caches(self) -> list[KeyValueCache]:
        """A cache for each layer, empty. The last token is never fed back."""
        return [KeyValueCache(self.block_size) for _ in self.layers]

    def _logits(self, x: Tensor, rotation: Rotation, caches: Sequence[KeyValueCache] | None) -> Tensor:
        held: Sequence[KeyValueCache | None] = caches or [None] * len(self.layers)
        for layer, cache in zip(self.layers, held, strict=True):
            x = layer(x, rotation, cache)
        return self.output(self.norm(x))  # type: ignore[no-any-return]
