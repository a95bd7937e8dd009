"""MAGE's transformer with the official keys (Li et al., arXiv:2211.09117; repositories LTH14/mage and LTH14/rcg)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.transformer.blocks import PlainBlock
from genbench.methods.transformer.lookup import lookup_table
from genbench.methods.transformer.normalisation import EPSILON

LABELS = 1000
"""Words of classes, which stand between the codes and the mask; the network's first token is one of them."""
FIRST = 76
"""Which of them, whatever the image."""


class TokenEmbeddings(nn.Module):
    """A word and its place, normalised (Devlin et al., arXiv:1810.04805)."""

    def __init__(self, words: int, places: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = lookup_table(words, width)
        self.position_embeddings = lookup_table(places, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, words: Tensor) -> Tensor:
        """Words (N, L) at every place => (N, L, width)."""
        return self.LayerNorm(self.word_embeddings(words) + self.position_embeddings.weight)  # type: ignore[no-any-return]


class WordHead(nn.Module):
    """Logits of words: a hidden layer's product with their embeddings."""

    def __init__(self, width: int, embedded: int, words: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, embedded)
        self.ln = nn.LayerNorm(embedded)
        self.bias = nn.Parameter(torch.zeros(1, 1, words))

    def forward(self, x: Tensor, embeddings: Tensor) -> Tensor:
        """Tokens (N, L, width), embeddings of the first K words (K, embedded) => logits (N, L, K)."""
        hidden = self.ln(functional.gelu(self.fc(x)))
        return functional.linear(hidden, embeddings) + self.bias[..., : len(embeddings)]


class MAGE(nn.Module):
    """Encoder and decoder over an image's codes. Argument names are those of the official constructor.

    T is the number of codes, a square grid in row-major order.

    Args:
        embed_dim: width E of the encoder.
        depth: its number of blocks.
        num_heads: its heads.
        decoder_embed_dim: width of the decoder.
        decoder_depth: its number of blocks.
        decoder_num_heads: its heads.
        img_size: side of the image in pixels.
        patch_size: pixels of a code's side.
        codebook_size: entries K of the tokenizer's codebook.
        mlp_ratio: hidden width of the MLPs over the width.
    """

    def __init__(
        self,
        *,
        embed_dim: int,
        depth: int,
        num_heads: int,
        decoder_embed_dim: int,
        decoder_depth: int,
        decoder_num_heads: int,
        img_size: int = 256,
        patch_size: int = 16,
        codebook_size: int = 1024,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.side = img_size // patch_size
        self.tokens = self.side**2
        self.mask = codebook_size + LABELS
        words = codebook_size + LABELS + 1
        self.token_emb = TokenEmbeddings(words, 1 + self.tokens, embed_dim)
        self.blocks = nn.ModuleList(PlainBlock(embed_dim, num_heads, mlp_ratio) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=EPSILON)
        self.decoder_embed = nn.Linear(embed_dim, decoder_embed_dim)
        self.decoder_pos_embed_learned = nn.Parameter(torch.zeros(1, 1 + self.tokens, decoder_embed_dim))
        self.decoder_blocks = nn.ModuleList(
            PlainBlock(decoder_embed_dim, decoder_num_heads, mlp_ratio) for _ in range(decoder_depth)
        )
        self.decoder_norm = nn.LayerNorm(decoder_embed_dim, eps=EPSILON)
        self.mlm_layer = WordHead(decoder_embed_dim, embed_dim, words)

    def forward(self, codes: Tensor, first: Tensor | None = None) -> Tensor:
        """Logits of every code, (N, T, K).

        Codes (N, T), those that are not known being `mask`; the first token's embedding (N, E), else that of its word.
        """
        words = functional.pad(codes, (1, 0), value=self.codebook_size + FIRST)
        return self.decode(self.encode(words, first), words == self.mask)

    def encode(self, words: Tensor, first: Tensor | None = None) -> Tensor:
        """Words (N, 1 + T), masked ones included, and an embedding in place of the first's => (N, 1 + T, E)."""
        x = self.token_emb(words)
        if first is not None:
            x = torch.cat([first[:, None].to(x.dtype), x[:, 1:]], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)  # type: ignore[no-any-return]

    def decode(self, encoded: Tensor, masked: Tensor) -> Tensor:
        """Logits (N, T, K), from what `encode` gave and which places (N, 1 + T) are masked: the first token's takes
        their place.
        """
        x = self.decoder_embed(encoded)
        x = torch.where(masked[..., None], x[:, :1], x) + self.decoder_pos_embed_learned
        for block in self.decoder_blocks:
            x = block(x)
        codes = self.token_emb.word_embeddings.weight[: self.codebook_size]
        return self.mlm_layer(self.decoder_norm(x)[:, 1:], codes)  # type: ignore[no-any-return]
