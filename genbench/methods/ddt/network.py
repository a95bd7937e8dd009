"""DDT's transformer with the official keys: encoder blocks see the class, decoder blocks see the encoder's state.

Wang et al., "DDT: Decoupled Diffusion Transformer" (arXiv:2504.05741).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.transformer.blocks import AdaptiveBlock, Attention, FinalLayer
from genbench.methods.transformer.embeddings import LabelEmbedder, TimestepEmbedder
from genbench.methods.transformer.normalisation import RMSNorm
from genbench.methods.transformer.rotary import Rotation, scaled_rotation

PERIOD = 10.0
"""Longest period of the time's features: times lie in [0, 1]."""


class PatchLinear(nn.Module):
    """Patches (N, T, C·p·p), each as (channel, row, column), to tokens."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Linear(features, width)

    def forward(self, patches: Tensor) -> Tensor:
        """(N, T, C·p·p) => (N, T, width)."""
        return self.proj(patches)  # type: ignore[no-any-return]


class GatedMlp(nn.Module):
    """SwiGLU with a Linear each for gate, value and output, all without bias."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, hidden, bias=False)
        self.w2 = nn.Linear(hidden, width, bias=False)
        self.w3 = nn.Linear(width, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) => (N, T, width)."""
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))  # type: ignore[no-any-return]


def _condition(width: int, vectors: int) -> nn.Sequential:
    """A bare Linear: the condition has been through its SiLU."""
    return nn.Sequential(nn.Linear(width, vectors * width))


def _block(width: int, heads: int) -> AdaptiveBlock:
    return AdaptiveBlock(
        attention=Attention(width, heads, bias=False, head_norm=RMSNorm),
        mlp=GatedMlp(width, int(2 * (4 * width) / 3)),
        norms=(RMSNorm(width), RMSNorm(width)),
        condition=_condition(width, 6),
    )


class DDT(nn.Module):
    """The transformer. Argument names are those of the official constructor, but for the first.

    Args:
        input_size: side of the latents that are sampled; the network itself takes any.
        in_channels: channels C of the latents.
        patch_size: side p of a patch.
        num_groups: attention heads; four times it divides `hidden_size`.
        hidden_size: width D of a token.
        num_blocks: blocks of encoder and decoder together.
        num_encoder_blocks: how many of the first are the encoder.
        num_classes: classes without the null class, whose index is `num_classes`.
    """

    def __init__(
        self,
        *,
        input_size: int,
        in_channels: int,
        patch_size: int,
        num_groups: int,
        hidden_size: int,
        num_blocks: int,
        num_encoder_blocks: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.in_channels = in_channels
        self.patch_size = patch_size
        self.head = hidden_size // num_groups
        self.num_classes = num_classes
        self.num_encoder_blocks = num_encoder_blocks
        features = in_channels * patch_size**2
        self.x_embedder = PatchLinear(features, hidden_size)
        self.s_embedder = PatchLinear(features, hidden_size)
        self.t_embedder = TimestepEmbedder(hidden_size, PERIOD)
        self.y_embedder = LabelEmbedder(num_classes, hidden_size)
        self.blocks = nn.ModuleList(_block(hidden_size, num_groups) for _ in range(num_blocks))
        self.final_layer = FinalLayer(hidden_size, patch_size, in_channels, condition=_condition(hidden_size, 2))

    def encode(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,) in [0, 1], labels y (N,) => state (N, T, D), which holds times and labels."""
        time = self.t_embedder(t)
        condition = functional.silu(time + self.y_embedder(y))
        state = self.s_embedder(self._patches(x))
        rotation = self._rotation(x)
        for block in self.blocks[: self.num_encoder_blocks]:
            state = block(state, condition, rotation)
        return functional.silu(time[:, None] + state)

    def decode(self, x: Tensor, state: Tensor) -> Tensor:
        """x (N, C, H, W), state (N, T, D) => velocity (N, C, H, W)."""
        tokens = self.x_embedder(self._patches(x))
        rotation = self._rotation(x)
        for block in self.blocks[self.num_encoder_blocks :]:
            tokens = block(tokens, state, rotation)
        patches = self.final_layer(tokens, state).transpose(1, 2)
        return functional.fold(patches, x.shape[-2:], self.patch_size, stride=self.patch_size)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,) in [0, 1], labels y (N,) => velocity (N, C, H, W)."""
        return self.decode(x, self.encode(x, t, y))

    def _patches(self, x: Tensor) -> Tensor:
        return functional.unfold(x, self.patch_size, stride=self.patch_size).transpose(1, 2)

    def _rotation(self, x: Tensor) -> Rotation:
        height, width = (side // self.patch_size for side in x.shape[-2:])
        return scaled_rotation(self.head, height, width, torch.device(x.device))
