"""Classifier-free guidance (Ho & Salimans, arXiv:2207.12598) with both predictions from one batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor, Tensor], Tensor]


def predictions(network: Network, x: Tensor, t: Tensor, labels: Tensor, null: int) -> tuple[Tensor, Tensor]:
    """The conditional and the unconditional prediction of N images, from one batch of 2N in the order of DiT and SiT.

    x (N, C, H, W), t (N,), labels (N,) => two of (N, C, H, W); `null` is the label of the null class.
    """
    both = network(torch.cat([x, x]), torch.cat([t, t]), torch.cat([labels, torch.full_like(labels, null)]))
    conditional, unconditional = both.chunk(2)
    return conditional, unconditional


def guide(conditional: Tensor, unconditional: Tensor, scale: float, channels: int | None, rest: Tensor) -> Tensor:
    """unconditional + scale·(conditional - unconditional) on the first `channels` (none: all), `rest` elsewhere.

    All (N, C, H, W).
    """
    mixed = unconditional + scale * (conditional - unconditional)
    if channels is None or channels >= mixed.shape[1]:
        return mixed
    return torch.cat([mixed[:, :channels], rest[:, channels:]], dim=1)


def guide_both(both: Tensor, scale: float, channels: int | None) -> Tensor:
    """Predictions (2N, C, H, W) of the class and then of none => both guided, each with its own other channels."""
    conditional, unconditional = both.chunk(2)
    return torch.cat([guide(conditional, unconditional, scale, channels, own) for own in (conditional, unconditional)])
