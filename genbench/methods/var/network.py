"""VAR's transformer with the official keys (Tian et al., arXiv:2404.02905; repository FoundationVision/VAR), and what
others that sample scale by scale share with it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.transformer.blocks import Mlp, modulate, modulation
from genbench.methods.transformer.cache import KeyValueCache
from genbench.methods.transformer.lookup import lookup_table
from genbench.methods.transformer.normalisation import layer_norm

_LARGEST_SCALE = math.log(100)


class _Attention(nn.Module):
    """Multi-head attention whose keys have no bias; with `unit`, of unit queries and keys and a learned scale."""

    def __init__(self, width: int, heads: int, *, unit: bool) -> None:
        super().__init__()
        self.heads = heads
        self.unit = unit
        if unit:
            self.scale_mul_1H11 = nn.Parameter(torch.full((1, heads, 1, 1), math.log(4)))
        self.mat_qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.zero_k_bias: Tensor
        self.register_buffer("zero_k_bias", torch.zeros(width, device="cpu"))
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None, cache: KeyValueCache | None) -> Tensor:
        """(N, T, width) => (N, T, width), over the T tokens and those that the cache has."""
        qkv = self.mat_qkv(x)
        qkv = qkv + torch.cat([self.q_bias, self.zero_k_bias, self.v_bias]).to(qkv.dtype)
        q, k, v = qkv.view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self.unit:
            q = functional.normalize(q, dim=-1) * self.scale_mul_1H11.clamp(max=_LARGEST_SCALE).exp()
            k = functional.normalize(k, dim=-1)
        scale = 1.0 if self.unit else 0.25 / math.sqrt(q.shape[-1])
        q, k = q.to(v.dtype), k.to(v.dtype)  # autocast normalises in float32
        if cache is not None:
            k, v = cache.extend(k, v)
        attended = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        return self.proj(attended.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class _Block(nn.Module):
    """Pre-norm attention and MLP, modulated by the class: a Linear of its own, or offsets to a shared one."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, *, epsilon: float, shared: bool, unit: bool) -> None:
        super().__init__()
        self.norm = layer_norm(width, epsilon)
        self.attn = _Attention(width, heads, unit=unit)
        self.ffn = Mlp(width, round(width * mlp_ratio))
        if shared:
            self.ada_gss = nn.Parameter(torch.zeros(1, 1, 6, width))
        else:
            self.ada_lin = modulation(width, 6)
        self.shared = shared

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor | None, cache: KeyValueCache | None) -> Tensor:
        """Tokens (N, T, D); condition (N, D), or six shared vectors (N, 1, 6, D) => tokens."""
        vectors = self.ada_gss + condition if self.shared else self.ada_lin(condition).view(len(x), 1, 6, -1)
        gate_a, gate_m, scale_a, scale_m, shift_a, shift_m = vectors.unbind(2)
        x = x + gate_a * self.attn(modulate(self.norm(x), shift_a, scale_a), mask, cache)
        return x + gate_m * self.ffn(modulate(self.norm(x), shift_m, scale_m))  # type: ignore[no-any-return]


class _HeadNorm(nn.Module):
    """The norm before the head: scale, then shift, of the class."""

    def __init__(self, width: int, epsilon: float) -> None:
        super().__init__()
        self.norm = layer_norm(width, epsilon)
        self.ada_lin = modulation(width, 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens (N, T, D), condition (N, D) => tokens."""
        scale, shift = self.ada_lin(condition)[:, None].chunk(2, dim=-1)
        return modulate(self.norm(x), shift, scale)


class ScaleTransformer(nn.Module, ABC):
    """A transformer of the tokens of growing scales. A family says how its tokens know their places.

    Argument names are those of the official constructors; T is the number of tokens of all scales.

    Args:
        num_classes: classes without the null class, whose index is `num_classes`.
        depth: number of blocks.
        embed_dim: width D of a token.
        num_heads: attention heads; divides `embed_dim`.
        patch_nums: side of each scale.
        vocab_size: entries K of the tokenizer's codebook.
        code_channels: channels C of an entry.
        mlp_ratio: hidden width of the MLP over `embed_dim`.
        norm_eps: of every layer norm.
        shared_aln: blocks share one Linear of the class.
        attn_l2_norm: attention is of unit queries and keys, with a learned scale a head.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        depth: int,
        embed_dim: int,
        num_heads: int,
        patch_nums: Sequence[int],
        vocab_size: int = 4096,
        code_channels: int = 32,
        mlp_ratio: float = 4.0,
        norm_eps: float = 1e-6,
        shared_aln: bool = False,
        attn_l2_norm: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.patch_nums = tuple(patch_nums)
        self.word_embed = nn.Linear(code_channels, embed_dim)
        self.class_emb = lookup_table(num_classes + 1, embed_dim)
        self.pos_start = nn.Parameter(torch.zeros(1, 1, embed_dim))
        self.add_places(embed_dim)
        self.shared_ada_lin = modulation(embed_dim, 6) if shared_aln else None
        self.blocks = nn.ModuleList(
            _Block(embed_dim, num_heads, mlp_ratio, epsilon=norm_eps, shared=shared_aln, unit=attn_l2_norm)
            for _ in range(depth)
        )
        self.head_nm = _HeadNorm(embed_dim, norm_eps)
        self.head = nn.Linear(embed_dim, vocab_size)

    @abstractmethod
    def add_places(self, embed_dim: int) -> None:
        """Register what `places` is made of."""

    @abstractmethod
    def places(self, scale: int | None) -> Tensor:
        """What is added to each token of a scale, (1, p², D); to those of all scales without one, (1, T, D)."""

    def mask(self) -> Tensor:
        """What is added to the attention of all scales at once: -inf where a token would see a later one, (…, T, T)."""
        return _scale_mask(_levels(self.patch_nums)).to(self.pos_start.device)

    def forward(
        self,
        labels: Tensor,
        inputs: Tensor | None,
        scale: int | None = None,
        caches: Sequence[KeyValueCache] | None = None,
    ) -> Tensor:
        """Every scale at once, as in training, or the next one of an image that is being sampled.

        In training each scale attends to itself and to those before it: labels (N,), the tokenizer's `inputs`
        (N, T - 1, C) => logits (N, T, K). In sampling `scale` is given, with its inputs (N, p², C), none for the first
        => logits (N, p², K); `caches`, from `caches()`, hold the keys and values of the scales before it, and of it
        afterwards.
        """
        condition = self.class_emb(labels)
        start = condition[:, None] + self.pos_start
        if scale is None:
            x = torch.cat([start, self.word_embed(inputs)], dim=1) + self.places(None)
            return self._logits(x, condition, self.mask(), None)
        x = start if inputs is None else self.word_embed(inputs)
        return self._logits(x + self.places(scale), condition, None, caches)

    def caches(self) -> list[KeyValueCache]:
        """A cache for each block, empty."""
        return [KeyValueCache(sum(p * p for p in self.patch_nums)) for _ in self.blocks]

    def _logits(
        self, x: Tensor, condition: Tensor, mask: Tensor | None, caches: Sequence[KeyValueCache] | None
    ) -> Tensor:
        modulated = condition
        if self.shared_ada_lin is not None:
            modulated = self.shared_ada_lin(condition).view(len(condition), 1, 6, -1)
        held: Sequence[KeyValueCache | None] = caches or [None] * len(self.blocks)
        for block, cache in zip(self.blocks, held, strict=True):
            x = block(x, modulated, mask, cache)
        return self.head(self.head_nm(x, condition))  # type: ignore[no-any-return]


class VAR(ScaleTransformer):
    """The transformer: every token of every scale has a position of its own, every scale an embedding."""

    def add_places(self, embed_dim: int) -> None:
        """Register the positions, the scales' embeddings, and the official buffers."""
        levels = _levels(self.patch_nums)
        self.pos_1LC = nn.Parameter(torch.zeros(1, len(levels), embed_dim))
        self.lvl_embed = lookup_table(len(self.patch_nums), embed_dim)
        self.lvl_1L: Tensor
        self.attn_bias_for_masking: Tensor
        self.register_buffer("lvl_1L", levels[None])
        self.register_buffer("attn_bias_for_masking", _scale_mask(levels)[None, None])

    def places(self, scale: int | None) -> Tensor:
        """Positions and embeddings of a scale's tokens, (1, p², D), or of all, (1, T, D)."""
        every = self.lvl_embed(self.lvl_1L) + self.pos_1LC
        if scale is None:
            return every  # type: ignore[no-any-return]
        first = sum(p * p for p in self.patch_nums[:scale])
        return every[:, first : first + self.patch_nums[scale] ** 2]  # type: ignore[no-any-return]

    def mask(self) -> Tensor:
        """The official buffer, (1, 1, T, T)."""
        return self.attn_bias_for_masking


def _levels(patch_nums: Sequence[int]) -> Tensor:
    """Scale of each token, (T,), on the CPU also where networks are built on the meta device: buffers keep values."""
    sides = torch.tensor(patch_nums, device="cpu")
    return torch.arange(len(sides), device="cpu").repeat_interleave(sides.square())


def _scale_mask(levels: Tensor) -> Tensor:
    """Scale of each token (T,) => 0 where a row's token may attend to a column's, -inf to a later scale's, (T, T)."""
    return torch.where(levels[:, None] >= levels, 0.0, -math.inf)
