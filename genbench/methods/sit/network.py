"""The DiT/SiT transformer with the official state-dict keys.

Peebles & Xie, "Scalable Diffusion Models with Transformers" (arXiv:2212.09748); Ma et al., "SiT" (arXiv:2401.08740).
One network serves DiT, SiT and the methods that only train it differently.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

FREQUENCIES = 256


def position_embedding(width: int, side: int) -> Tensor:
    """Fixed 2-D sine-cosine embedding, (1, side², width) float32.

    The first half of the width encodes the column, the second half the row; each half is [sin, cos] of width/4
    frequencies 10000^(-k/(width/4)), computed in float64.
    """
    cpu = torch.device("cpu")  # also where networks are built on the meta device, whose arithmetic imports a compiler
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64, device=cpu) / (width / 4))
    angle = torch.arange(side, dtype=torch.float64, device=cpu)[:, None] * frequency
    line = torch.cat([angle.sin(), angle.cos()], dim=1)
    column = line[None, :].expand(side, side, -1)
    row = line[:, None].expand(side, side, -1)
    return torch.cat([column, row], dim=2).reshape(1, side * side, width).float()


class TimestepEmbedder(nn.Module):
    """(N,) times => (N, width): 256 features [cos, sin] of frequencies 10000^(-i/128), then Linear, SiLU, Linear."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        """Embed times given in the method's own units."""
        half = FREQUENCIES // 2
        frequency = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device) / half)
        angle = t[:, None].float() * frequency
        features = torch.cat([angle.cos(), angle.sin()], dim=1)
        return self.mlp(features.to(next(self.mlp.parameters()).dtype))  # type: ignore[no-any-return]


class LabelEmbedder(nn.Module):
    """(N,) labels => (N, width); the last row of the table is the null class of classifier-free guidance."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        table = torch.empty(classes + 1, width)
        if not table.is_meta:  # drawing on the meta device would import torch's compiler: seconds, for nothing
            nn.init.normal_(table)
        self.embedding_table = nn.Embedding(classes + 1, width, _weight=table)

    def forward(self, labels: Tensor) -> Tensor:
        """Look labels up; `classes` itself is the null class."""
        return self.embedding_table(labels)  # type: ignore[no-any-return]


class PatchEmbed(nn.Module):
    """(N, C, H, W) => (N, H·W/p², width) by a convolution of stride p; tokens in row-major order."""

    def __init__(self, channels: int, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        """Cut into patches and project."""
        return self.proj(x).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Multi-head self-attention; one qkv projection laid out as (3, heads, head width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(q, k, v)
        return self.proj(attended.transpose(1, 2).reshape(n, tokens, width))  # type: ignore[no-any-return]


class Mlp(nn.Module):
    """Linear, tanh-approximated GELU, Linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        return self.fc2(functional.gelu(self.fc1(x), approximate="tanh"))  # type: ignore[no-any-return]


def modulation(width: int, vectors: int) -> nn.Sequential:
    """SiLU then Linear: `vectors` adaptive layer-norm vectors of the condition."""
    return nn.Sequential(nn.SiLU(), nn.Linear(width, vectors * width))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """x·(1 + scale) + shift, one vector an image: x (N, T, D), shift and scale (N, D)."""
    return x * (1 + scale[:, None]) + shift[:, None]


class Block(nn.Module):
    """Transformer block with adaLN-Zero: shift, scale, gate for the attention, then for the MLP."""

    def __init__(self, width: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = Mlp(width, int(width * mlp_ratio))
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens (N, T, D), condition (N, D) => tokens."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.adaLN_modulation(condition).chunk(6, dim=1)
        x = x + gate_a[:, None] * self.attn(modulate(self.norm1(x), shift_a, scale_a))
        return x + gate_m[:, None] * self.mlp(modulate(self.norm2(x), shift_m, scale_m))  # type: ignore[no-any-return]


class FinalLayer(nn.Module):
    """Adaptive layer norm and the projection of each token to its patch, (row, column, channel)."""

    def __init__(self, width: int, patch: int, channels: int) -> None:
        super().__init__()
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, patch * patch * channels)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Tokens (N, T, D), condition (N, D) => (N, T, p·p·C)."""
        shift, scale = self.adaLN_modulation(condition).chunk(2, dim=1)
        return self.linear(modulate(self.norm_final(x), shift, scale))  # type: ignore[no-any-return]


class SiT(nn.Module):
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
        self.blocks = nn.ModuleList(Block(hidden_size, num_heads, mlp_ratio) for _ in range(depth))
        self.final_layer = FinalLayer(hidden_size, patch_size, self.out_channels)

    def initialise(self) -> None:
        """Draw initial weights for training: Xavier linears, small embeddings, adaLN and output zero (DiT, 3.2)."""
        zero = ("adaLN_modulation.1.", "final_layer.linear.")
        small = ("y_embedder.", "t_embedder.mlp.")
        for name, parameter in self.named_parameters():
            if name == "pos_embed":
                continue
            if parameter.ndim == 1 or any(part in name for part in zero):
                nn.init.zeros_(parameter)
            elif name.startswith(small):
                nn.init.normal_(parameter, std=0.02)
            else:
                nn.init.xavier_uniform_(parameter.view(len(parameter), -1))

    def unpatchify(self, x: Tensor) -> Tensor:
        """(N, T, p·p·C) => (N, C, H, W)."""
        n, tokens, _ = x.shape
        side, p, c = math.isqrt(tokens), self.patch_size, self.out_channels
        x = x.reshape(n, side, side, p, p, c).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(n, c, side * p, side * p)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,), labels y (N,) => (N, C, H, W), or 2C channels with `learn_sigma`."""
        x = self.x_embedder(x) + self.pos_embed
        condition = self.t_embedder(t) + self.y_embedder(y)
        for block in self.blocks:
            x = block(x, condition)
        return self.unpatchify(self.final_layer(x, condition))

    def velocity(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """The first C output channels of `forward`: SiT discards the variance half."""
        return self(x, t, y)[:, : self.in_channels]  # type: ignore[no-any-return]
