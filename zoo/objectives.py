"""Training objectives: a network, a batch and a generator in, a scalar loss out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Objective = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]


def linear_velocity(network: nn.Module, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """Flow matching on the linear path with SiT's time (t = 0 noise, t = 1 data) and target data - noise.

    images: (N, C, H, W) in [-1, 1]; labels: (N,), the null class included (SiT, arXiv:2401.08740, equation 6).
    """
    noise = torch.randn(images.shape, generator=generator)
    t = torch.rand(len(images), generator=generator)
    s = t[:, None, None, None]
    predicted: Tensor = network(s * images + (1 - s) * noise, t, labels)
    return (predicted.float() - (images - noise)).square().mean()


OBJECTIVES: dict[str, Objective] = {"linear-velocity": linear_velocity}
