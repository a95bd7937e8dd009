"""The KL autoencoder of latent diffusion (Rombach et al., arXiv:2112.10752): diffusers' module, any keys."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from genbench.methods.latents.convolutions import block_types, diffusers_classes
from genbench.methods.latents.keys import standard_keys
from genbench.methods.latents.settings import AutoencoderNetwork
from genbench.methods.latents.tokenizer import Encoded
from genbench.methods.networks import build, parameters


class Autoencoder:
    """The autoencoder with its weights, in whichever layout they are.

    Raises `WeightsError` for weights that do not fit, and `UsageError` when diffusers is not installed.
    """

    codebook_size = None

    def __init__(self, network: AutoencoderNetwork, state: dict[str, Tensor] | None, device: torch.device) -> None:
        renamed = None if state is None else standard_keys(state, len(network.widths))
        self._module: Any = build(lambda: module(network), renamed, device, name="latent")
        self.parameters = parameters(self._module)
        self._factor = network.factor

    def decode_in_tiles(self, side: int) -> None:
        """From now on decode latents with a side above `side` in tiles of that side.

        Tiles overlap by a quarter and are blended linearly there (diffusers' ``enable_tiling``). Memory is that of one
        tile; pixels are others, as a tile's attention does not see the rest of the image.
        """
        self._module.tile_latent_min_size = side
        self._module.tile_sample_min_size = side * self._factor
        self._module.enable_tiling()

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) in the autoencoder's own scale => float32 (N, 3, H, W), about [-1, 1]."""
        decoded: Tensor = self._module.decode(latents).sample
        return decoded

    @torch.inference_mode()
    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [-1, 1] => mean and logarithm of the variance of their latents, (N, C, h, w) each.

        The logarithm is clamped to [-30, 20].
        """
        posterior = self._module.encode(images).latent_dist
        return posterior.mean, posterior.logvar

    def encode(self, images: Tensor) -> Encoded:
        """Images (N, 3, H, W) in [-1, 1] => the mean of their latents, which has no codes."""
        mean, _ = self.posterior(images)
        return Encoded(mean)


def module(network: AutoencoderNetwork) -> nn.Module:
    """diffusers' module, not filled. Raises `UsageError` when diffusers is not installed."""
    downs, ups = block_types(network)
    built: nn.Module = diffusers_classes().autoencoder(
        down_block_types=downs,
        up_block_types=ups,
        block_out_channels=network.widths,
        layers_per_block=network.blocks,
        latent_channels=network.latent_channels,
        norm_num_groups=network.groups,
    )
    return built
