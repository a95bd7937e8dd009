"""MAR's network with the official keys (Li et al., arXiv:2406.11838; repository LTH14/mar)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.transformer.blocks import FinalLayer, PlainBlock, modulate, modulation
from genbench.methods.transformer.embeddings import TimestepEmbedder
from genbench.methods.transformer.lookup import lookup_table
from genbench.methods.transformer.normalisation import EPSILON


def _norm(width: int) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=EPSILON)


class _ResidualBlock(nn.Module):
    """One block of the diffusion head: a modulated MLP of each token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_ln = _norm(width)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.adaLN_modulation = modulation(width, 3)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Tokens (M, W), conditions (M, W) => tokens."""
        shift, scale, gate = self.adaLN_modulation(y).chunk(3, dim=-1)
        return x + gate * self.mlp(modulate(self.in_ln(x), shift, scale))  # type: ignore[no-any-return]


class DiffusionHead(nn.Module):
    """The denoiser of single tokens: noise and variance channels of x given what the transformer says of its place."""

    def __init__(self, channels: int, condition: int, width: int, depth: int) -> None:
        super().__init__()
        self.time_embed = TimestepEmbedder(width)
        self.cond_embed = nn.Linear(condition, width)
        self.input_proj = nn.Linear(channels, width)
        self.res_blocks = nn.ModuleList(_ResidualBlock(width) for _ in range(depth))
        self.final_layer = FinalLayer(width, 1, 2 * channels)

    def forward(self, x: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Tokens x (M, C), training steps t (M,), conditions z (M, D) => (M, 2C)."""
        y = self.time_embed(t) + self.cond_embed(z)
        x = self.input_proj(x)
        for block in self.res_blocks:
            x = block(x, y)
        return self.final_layer(x[:, None], y)[:, 0]  # type: ignore[no-any-return]


class MAR(nn.Module):
    """The transformer and its diffusion head. Argument names are those of the official constructor.

    T is the number of tokens, each of C = `vae_embed_dim`·`patch_size`² channels.

    Args:
        encoder_embed_dim: width of the encoder.
        encoder_depth: its number of blocks.
        encoder_num_heads: its heads.
        decoder_embed_dim: width D of the decoder.
        decoder_depth: its number of blocks.
        decoder_num_heads: its heads.
        diffloss_d: blocks of the diffusion head.
        diffloss_w: its width.
        img_size: side of the image in pixels.
        vae_stride: pixels of a latent cell's side.
        patch_size: cells of a token's side.
        vae_embed_dim: channels of a latent cell.
        class_num: classes; no class has a vector of its own.
        buffer_size: tokens of the class that stand before the image's.
        mlp_ratio: hidden width of the MLPs over the width.
    """

    def __init__(
        self,
        *,
        encoder_embed_dim: int,
        encoder_depth: int,
        encoder_num_heads: int,
        decoder_embed_dim: int,
        decoder_depth: int,
        decoder_num_heads: int,
        diffloss_d: int,
        diffloss_w: int,
        img_size: int = 256,
        vae_stride: int = 16,
        patch_size: int = 1,
        vae_embed_dim: int = 16,
        class_num: int = 1000,
        buffer_size: int = 64,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.side = img_size // vae_stride // patch_size
        self.buffer_size = buffer_size
        self.tokens = self.side**2
        self.channels = vae_embed_dim * patch_size**2
        width, length = encoder_embed_dim, buffer_size + self.tokens
        self.class_emb = lookup_table(class_num, width)
        self.fake_latent = nn.Parameter(torch.zeros(1, width))
        self.z_proj = nn.Linear(self.channels, width)
        self.z_proj_ln = _norm(width)
        self.encoder_pos_embed_learned = nn.Parameter(torch.zeros(1, length, width))
        self.encoder_blocks = nn.ModuleList(
            PlainBlock(width, encoder_num_heads, mlp_ratio) for _ in range(encoder_depth)
        )
        self.encoder_norm = _norm(width)
        self.decoder_embed = nn.Linear(width, decoder_embed_dim)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, decoder_embed_dim))
        self.decoder_pos_embed_learned = nn.Parameter(torch.zeros(1, length, decoder_embed_dim))
        self.decoder_blocks = nn.ModuleList(
            PlainBlock(decoder_embed_dim, decoder_num_heads, mlp_ratio) for _ in range(decoder_depth)
        )
        self.decoder_norm = _norm(decoder_embed_dim)
        self.diffusion_pos_embed_learned = nn.Parameter(torch.zeros(1, self.tokens, decoder_embed_dim))
        head = DiffusionHead(self.channels, decoder_embed_dim, diffloss_w, diffloss_d)
        self.diffloss = nn.ModuleDict({"net": head})

    @property
    def head(self) -> nn.Module:
        """The diffusion head."""
        return self.diffloss["net"]

    def forward(self, x: Tensor, known: Tensor, condition: Tensor) -> Tensor:
        """What the tokens that are there say of every place.

        Tokens x (N, T, C), which are there (N, T) bool, as many in each image, embedding of the class (N, E) =>
        (N, T, D).
        """
        return self.decode(self.encode(x, known, condition), known)

    def encode(self, x: Tensor, known: Tensor, condition: Tensor) -> Tensor:
        """The class's tokens and the n that are there, (N, `buffer_size` + n, E)."""
        buffer = condition[:, None].expand(-1, self.buffer_size, -1)
        x = self.z_proj_ln(torch.cat([buffer, self.z_proj(x)], dim=1) + self.encoder_pos_embed_learned)
        x = x[self._with_buffer(known)].view(len(x), -1, x.shape[2])
        for block in self.encoder_blocks:
            x = block(x)
        return self.encoder_norm(x)  # type: ignore[no-any-return]

    def decode(self, encoded: Tensor, known: Tensor) -> Tensor:
        """Every token (N, T, D), from what `encode` gave of those that are there."""
        embedded, there = self.decoder_embed(encoded), self._with_buffer(known)
        x = self.mask_token.to(embedded.dtype).repeat(*there.shape, 1)
        x[there] = embedded.flatten(0, 1)
        x = x + self.decoder_pos_embed_learned
        for block in self.decoder_blocks:
            x = block(x)
        return self.decoder_norm(x)[:, self.buffer_size :] + self.diffusion_pos_embed_learned  # type: ignore[no-any-return]

    def patchify(self, latents: Tensor) -> Tensor:
        """Latents (N, c, h, w) => tokens (N, T, C), each as (channel, row, column)."""
        return functional.pixel_unshuffle(latents, self.patch_size).flatten(2).transpose(1, 2)

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """Tokens (N, T, C) => latents (N, c, h, w)."""
        grid = tokens.transpose(1, 2).reshape(len(tokens), -1, self.side, self.side)
        return functional.pixel_shuffle(grid, self.patch_size)

    def _with_buffer(self, known: Tensor) -> Tensor:
        return functional.pad(known, (self.buffer_size, 0), value=True)
