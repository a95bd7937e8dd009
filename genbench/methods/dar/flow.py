"""The flow from noise to pixels that D-AR's tokens steer, with the official keys (Gao & Shou, arXiv:2505.23660)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.dar.blocks import Attention, mlp
from genbench.methods.dar.settings import FlowNetwork
from genbench.methods.timeshift import shifted
from genbench.methods.transformer.blocks import modulate, modulation
from genbench.methods.transformer.embeddings import TimestepEmbedder
from genbench.methods.transformer.normalisation import layer_norm
from genbench.methods.transformer.rotary import Rotation, grid_rotation

_TIMES = 1000.0
"""What times in [0, 1] are multiplied by before they are embedded."""


class FlowBlock(nn.Module):
    """A diffusion transformer's block, modulated for each patch by the time and by what the patch sees of the tokens.

    Every block embeds time and tokens anew.
    """

    def __init__(self, width: int, head: int) -> None:
        super().__init__()
        self.attention = Attention(width, head)
        self.cross_attn = Attention(width, head)
        self.mlp = mlp(width)
        self.norm = layer_norm(width)
        self.adaLN_modulation = modulation(width, 6)
        self.time_embed = TimestepEmbedder(width, features=width)
        self.cond_embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor, rotation: Rotation) -> Tensor:
        """Patches (N, P, width), times (N,) and tokens (N, K, width) => patches."""
        seen = self.cross_attn(self.norm(x), rotation, seen=self.norm(self.cond_embed(tokens)))
        vectors = self.adaLN_modulation(self.time_embed(_TIMES * t)[:, None] + seen)
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = vectors.chunk(6, dim=-1)
        x = x + gate_a * self.attention(modulate(self.norm(x), shift_a, scale_a), rotation)
        return x + gate_m * self.mlp(modulate(self.norm(x), shift_m, scale_m))  # type: ignore[no-any-return]


class Velocity(nn.Module):
    """Velocity of pixels at a time, given tokens.

    Args:
        network: widths and patches.
        condition: width of a given token.
        head: width of a head of attention.
    """

    def __init__(self, network: FlowNetwork, condition: int, head: int) -> None:
        super().__init__()
        self.patch, self.head = network.patch_size, head
        values = 3 * network.patch_size**2
        self.cond_mlp = nn.Linear(condition, network.dim)
        self.norm = layer_norm(network.dim)
        self.conv_in = nn.Conv2d(values, network.dim, 1)
        self.conv_out = nn.Conv2d(network.dim, values, 1)
        self.blocks = nn.ModuleList(FlowBlock(network.dim, head) for _ in range(network.depth))

    def forward(self, x: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """Pixels (N, 3, S, S), times (N,) and tokens (N, K, condition) => velocities (N, 3, S, S)."""
        tokens = self.norm(self.cond_mlp(tokens))
        grid = self.conv_in(functional.pixel_unshuffle(x, self.patch))
        side = grid.shape[-1]
        rotation = grid_rotation(self.head, side, x.device)
        patches = grid.flatten(2).transpose(1, 2)
        for block in self.blocks:
            patches = block(patches, t, tokens, rotation)
        grid = self.norm(patches).transpose(1, 2).unflatten(2, (side, side))
        return functional.pixel_shuffle(self.conv_out(grid), self.patch)


class PixelFlow(nn.Module):
    """The velocity, integrated from noise at time 0 to an image at time 1. Arguments are those of `Velocity`."""

    def __init__(self, network: FlowNetwork, condition: int, head: int) -> None:
        super().__init__()
        self.net = Velocity(network, condition, head)
        self.data_std, self.time_shift = network.data_std, network.time_shift

    def forward(self, start: Tensor, tokens: Tensor) -> Tensor:
        """Noise (N, 3, S, S) and the tokens of each step (N, steps, K, condition) => images (N, 3, S, S).

        The second step and those after it are of the Adams-Bashforth method of order 2 with the weights of even steps,
        though shifted times are not even.
        """
        x, before = start, None
        grid = shifted(torch.linspace(0, 1, tokens.shape[1] + 1, device=x.device), 1 / self.time_shift)
        for step, (now, then) in enumerate(pairwise(grid)):
            velocity = self.net(x, now.expand(len(x)), tokens[:, step])
            slope = velocity if before is None else 1.5 * velocity - 0.5 * before
            x, before = x + (then - now) * slope, velocity
        return x / self.data_std
