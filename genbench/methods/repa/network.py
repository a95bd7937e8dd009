"""The network that REPA, iREPA, HASTE and REPA-E sample from: SiT's, with REPA-E's latent statistics where it has them.

Yu et al., "Representation Alignment for Generation" (arXiv:2410.06940); Leng et al., "REPA-E" (arXiv:2504.10483).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genbench.methods.dit.network import DiT
from genbench.methods.networks import without

_TRAINING_ONLY = ("projectors.",)
"""The heads that are aligned with an encoder."""

_LEGACY = "decoder_blocks."
"""What the blocks behind the aligned one were called in early files, counted from there."""


class RepresentationAlignedSiT(DiT):
    """The transformer without a variance half, by the official keys.

    Args:
        latent_statistics: the file carries mean and variance of the latents, as REPA-E's batch norm (keys ``bn.``).
        arguments: of `DiT`.
    """

    def __init__(self, *, latent_statistics: bool = False, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.bn = nn.BatchNorm2d(self.in_channels, affine=False, eps=1e-4) if latent_statistics else None

    def to_decoder(self, latents: Tensor) -> Tensor:
        """Sampled latents (N, C, H, W) as the decoder takes them: z·√variance + mean, without the batch norm's ε."""
        if self.bn is None:
            return latents
        scale, bias = self.scale_and_bias()
        return latents / scale[:, None, None] + bias[:, None, None]

    def scale_and_bias(self) -> tuple[Tensor, Tensor]:
        """1/√variance and mean of the latents, (C,) each.

        Raises `ValueError` for a network without `latent_statistics`.
        """
        if self.bn is None or self.bn.running_var is None or self.bn.running_mean is None:
            raise ValueError("the network has no latent statistics")
        return torch.rsqrt(self.bn.running_var), self.bn.running_mean


def sampling_state(state: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    """The tensors of an official file that sampling uses, early files' names brought up to date.

    `depth` is the number of blocks in all.
    """
    kept = without(state, _TRAINING_ONLY)
    behind = {key.split(".")[1] for key in kept if key.startswith(_LEGACY)}
    first = depth - len(behind)
    return {_current(key, first): value for key, value in kept.items()}


def _current(key: str, first: int) -> str:
    if not key.startswith(_LEGACY):
        return key
    number, _, rest = key.removeprefix(_LEGACY).partition(".")
    return f"blocks.{int(number) + first}.{rest}"
