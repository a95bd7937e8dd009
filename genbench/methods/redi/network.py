"""ReDi's network: SiT's, with principal components of DINOv2's features behind the latent's channels.

Kouzelis et al., "Boosting Generative Image Modeling via Joint Image-Feature Synthesis" (arXiv:2504.16064).
"""

from __future__ import annotations

from typing import Any

from genbench.methods.dit.network import DiT


class JointSiT(DiT):
    """The transformer without a variance half, by the official keys.

    Args:
        pca_rank: how many of the last channels are principal components.
        arguments: of `DiT`.
    """

    def __init__(self, *, pca_rank: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.latent_channels = self.in_channels - pca_rank
