"""EDM's denoiser: a U-Net between its preconditioning.

Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (arXiv:2206.00364); keys of
NVlabs/edm's ``EDMPrecond``. There "vp" and "ve" name the architecture: the preconditioning is one.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from genbench.methods.edm.dhariwal import DhariwalUNet
from genbench.methods.edm.settings import ModelType
from genbench.methods.edm.song import SongUNet
from genbench.methods.preconditioning import Scalings, edm_scalings

_NETWORKS: dict[ModelType, type[SongUNet | DhariwalUNet]] = {"SongUNet": SongUNet, "DhariwalUNet": DhariwalUNet}


class EDMDenoiser(nn.Module):
    """D(x, σ); arguments are those of `genbench.methods.edm.settings.EDMNetwork`."""

    def __init__(
        self, *, model_type: ModelType, img_channels: int, label_dim: int = 0, augment_dim: int = 0, **arguments: Any
    ) -> None:
        super().__init__()
        self.label_dim = label_dim
        self.model = _NETWORKS[model_type](
            in_channels=img_channels,
            out_channels=img_channels,
            label_dim=label_dim,
            augment_dim=augment_dim,
            **arguments,
        )

    def scalings(self, sigma: Tensor) -> Scalings:
        """How the network is preconditioned at noise levels (N,)."""
        return edm_scalings(sigma)

    def forward(self, x: Tensor, sigma: Tensor, labels: Tensor | None = None, augment: Tensor | None = None) -> Tensor:
        """Images (N, C, R, R) with noise of levels (N,) => the estimate of the images, float32 (N, C, R, R).

        `labels` are one-hot (N, label_dim); none are the zero vector, which is also what dropped labels were in
        training. `augment` are augmentation labels (N, augment_dim), which sampling leaves out.
        """
        x, sigma = x.float(), sigma.float()
        return self.scalings(sigma).denoised(x, lambda inner: self.model(inner, sigma.log() / 4, labels, augment))

    def one_hot(self, labels: Tensor) -> Tensor | None:
        """Classes (N,) as the network takes them: float32 (N, label_dim), none for an unconditional network."""
        return F.one_hot(labels, self.label_dim).float() if self.label_dim else None
