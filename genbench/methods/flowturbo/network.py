"""FlowTurbo's networks with the official keys: SiT's transformer, and one of a block that refines its velocities.

Zhao et al., "FlowTurbo: Towards Real-time Flow-Based Image Generation with Velocity Refiner" (arXiv:2409.18128).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.dit.network import DiT
from genbench.methods.transformer.embeddings import PatchEmbed


class VelocityRefiner(DiT):
    """The transformer that sees a velocity behind the state; arguments are those of `DiT`."""

    def __init__(self, *, patch_size: int, in_channels: int, hidden_size: int, **arguments: Any) -> None:
        super().__init__(patch_size=patch_size, in_channels=in_channels, hidden_size=hidden_size, **arguments)
        self.x_embedder = PatchEmbed(2 * in_channels, patch_size, hidden_size)

    def offset(self, x: Tensor, velocity: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """From a velocity (N, C, H, W) near by to that at x (N, C, H, W), times t (N,), labels y (N,)."""
        return self(torch.cat([x, velocity], dim=1), t, y)[:, : self.in_channels]  # type: ignore[no-any-return]


class FlowTurbo(DiT):
    """The transformer and its refiner.

    Args:
        refiner: arguments of `VelocityRefiner`, whose keys begin with ``refiner.``; none without one.
        arguments: of `DiT`.
    """

    def __init__(self, *, refiner: Mapping[str, Any] | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.refiner = VelocityRefiner(**refiner) if refiner is not None else None

    def velocity(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (N, C, H, W), times t (N,), labels y (N,) => (N, C, H, W), without the variance half."""
        return self(x, t, y)[:, : self.in_channels]  # type: ignore[no-any-return]
