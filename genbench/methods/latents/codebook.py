"""Autoencoders with a codebook (VQGAN; Esser et al., arXiv:2012.09841): convolutions around a quantiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from genbench.errors import UsageError
from genbench.methods.latents.convolutions import decoder, encoder
from genbench.methods.latents.keys import standard_keys
from genbench.methods.latents.settings import ConvolutionalNetwork, LevelledNetwork
from genbench.methods.latents.tokenizer import Encoded
from genbench.methods.networks import build, parameters

_STATISTICS = ("quantize.ema_vocab_hit_SV", "quantize.codebook_used")
"""What training counted of the codebook."""


class Quantiser(Protocol):
    """From features to the codebook's entries."""

    codebook_size: int

    def __call__(self, features: Tensor) -> Encoded:
        """Features (N, C, h, w) => their code, whose latents have the same shape."""
        ...


Q = TypeVar("Q", bound=nn.Module)


def nearest_entries(vectors: Tensor, entries: Tensor) -> Tensor:
    """Vectors (M, C), entries (K, C) => index of the entry at the smallest Euclidean distance of each, (M,)."""
    squared = vectors.square().sum(dim=1, keepdim=True) + entries.square().sum(dim=1)
    return squared.addmm_(vectors, entries.T, alpha=-2).argmin(dim=1)


class CodebookAutoencoder(nn.Module, Generic[Q]):
    """Encoder, quantiser, decoder."""

    def __init__(self, encoder: nn.Module, quantize: Q, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.quantize = quantize
        self.decoder = decoder

    def features(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) => what is quantised, (N, C, h, w)."""
        return self.encoder(images)  # type: ignore[no-any-return]

    def images(self, latents: Tensor) -> Tensor:
        """Quantised latents (N, C, h, w) => images (N, 3, H, W)."""
        return self.decoder(latents)  # type: ignore[no-any-return]


class QuantisedAutoencoder(CodebookAutoencoder[Q]):
    """diffusers' convolutions around a quantiser, with a projection on either side of it.

    Args:
        network: shape of the encoder and the decoder.
        quantize: the quantiser, of `code_channels`.
        latent_channels: between the convolutions and `quant_conv`.
        kernel: side of the kernels of `quant_conv` and `post_quant_conv`.
    """

    def __init__(
        self, network: ConvolutionalNetwork, quantize: Q, *, latent_channels: int, code_channels: int, kernel: int
    ) -> None:
        super().__init__(encoder(network, latent_channels), quantize, decoder(network, latent_channels))
        self.quant_conv = nn.Conv2d(latent_channels, code_channels, kernel, padding=kernel // 2)
        self.post_quant_conv = nn.Conv2d(code_channels, latent_channels, kernel, padding=kernel // 2)

    def features(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) => what is quantised, (N, C, h, w)."""
        return self.quant_conv(super().features(images))  # type: ignore[no-any-return]

    def images(self, latents: Tensor) -> Tensor:
        """Quantised latents (N, C, h, w) => images (N, 3, H, W)."""
        return super().images(self.post_quant_conv(latents))


class QuantisedTokenizer(Generic[Q]):
    """The autoencoder with its weights.

    `side` is that of the images that it takes, where the quantiser takes one only. Raises `WeightsError` for weights
    that do not fit, and `UsageError` when diffusers is not installed.
    """

    def __init__(
        self,
        module: Callable[[], CodebookAutoencoder[Q]],
        network: LevelledNetwork,
        state: dict[str, Tensor] | None,
        device: torch.device,
        *,
        codebook_size: int,
        side: int | None = None,
    ) -> None:
        kept = None if state is None else self.kept(state, len(network.widths))
        self.module = build(module, kept, device, name="VQ")
        self.parameters = parameters(self.module)
        self.codebook_size = codebook_size
        self._factor, self._side = network.factor, side

    def kept(self, state: dict[str, Tensor], levels: int) -> dict[str, Tensor]:
        """What the module has of a weight file, under its keys: those of diffusers, unless a family says otherwise."""
        codebook = {k: v for k, v in state.items() if k.startswith("quantize.") and k not in _STATISTICS}
        return standard_keys(state, levels) | codebook

    @property
    def quantiser(self) -> Q:
        """The codebook and what belongs to it."""
        return self.module.quantize

    @torch.inference_mode()
    def encode(self, images: Tensor) -> Encoded:
        """Images (N, 3, H, W) in [-1, 1] => their code.

        Raises `UsageError` for images of a side that the autoencoder does not take.
        """
        height, width = images.shape[-2:]
        if (
            height % self._factor
            or width % self._factor
            or (self._side or height, self._side or width) != (height, width)
        ):
            wanted = f"{self._side} px" if self._side else f"multiples of {self._factor} px"
            raise UsageError(
                f"images of {height} x {width} px: the autoencoder takes {wanted}", hint="crop or resize the images"
            )
        code: Encoded = self.module.quantize(self.module.features(images))
        return code

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) of the codebook's entries => float32 (N, 3, H, W), about [-1, 1]."""
        return self.module.images(latents)
