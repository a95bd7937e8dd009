"""From what a latent model samples to images, in batches that bound memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.nn import functional

from genbench.errors import WeightsError
from genbench.methods.catalog import Sampler
from genbench.methods.noise import Noise
from genbench.weights import load_tensors

CELLS = 8 * 32 * 32
"""Latent cells decoded at once: eight images of 256 px at a factor of 8."""

VARIANCE_EPSILON = 1e-5
"""What RAE adds to a variance before its root."""


class ImageDecoder(Protocol):
    """A network from latents to pixels."""

    @property
    def parameters(self) -> int:
        """Of the network, an encoder that comes with it included."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) in the network's own scale => float32 (N, 3, H, W), about [-1, 1]."""
        ...


@runtime_checkable
class DrawingDecoder(Protocol):
    """A network from latents and noise to pixels: its images are draws, as those of a flow in pixels."""

    @property
    def parameters(self) -> int:
        """Of the network, an encoder that comes with it included."""
        ...

    @property
    def start_shape(self) -> tuple[int, int, int]:
        """Shape (C, H, W) of the noise that an image starts from."""
        ...

    def decode_from(self, start: Tensor, latents: Tensor) -> Tensor:
        """Standard normal noise (N, *start_shape) and latents (N, C, h, w) => float32 (N, 3, H, W), about [-1, 1]."""
        ...


PixelDecoder = ImageDecoder | DrawingDecoder
"""From latents to pixels, with noise or without."""


class TilingDecoder(ImageDecoder, Protocol):
    """A network from latents to pixels that can take large latents in parts."""

    def decode_in_tiles(self, side: int) -> None:
        """From now on decode what is larger in tiles of `side` cells."""
        ...


class LatentStatistics(NamedTuple):
    """What a sampled channel was normalised by: the autoencoder's latents are std·z + mean."""

    mean: Tensor
    """Broadcasts to (N, C, h, w), as does `std`."""
    std: Tensor

    @classmethod
    def of_variance(cls, mean: Tensor, variance: Tensor, epsilon: float = VARIANCE_EPSILON) -> LatentStatistics:
        """Of a mean and a variance, to which `epsilon` is added."""
        return cls(mean, (variance + epsilon).sqrt())

    def restore(self, latents: Tensor) -> Tensor:
        """Latents (N, C, h, w) in the generator's units => in the autoencoder's."""
        return latents * self.std.to(latents.device) + self.mean.to(latents.device)


def latent_statistics(path: Path) -> LatentStatistics:
    """Read statistics by their authors' names.

    VA-VAE keeps ``mean`` and ``std``, RAE ``mean`` and ``var``, REPA-E and iREPA ``latents_bias`` and
    ``latents_scale``, by which latents were multiplied. Raises `WeightsError` for a file of none of them.
    """
    found = {key: value.float() for key, value in load_tensors(path).items()}
    if {"mean", "std"} <= found.keys():
        return LatentStatistics(found["mean"], found["std"])
    if {"latents_bias", "latents_scale"} <= found.keys():
        return LatentStatistics(found["latents_bias"], 1 / found["latents_scale"])
    if {"mean", "var"} <= found.keys():
        return LatentStatistics.of_variance(found["mean"], found["var"])
    raise WeightsError(
        f"{path}: holds {', '.join(found)}, not mean and std or var of latents, nor latents_scale and latents_bias",
        hint="name the authors' statistics file under [variants.<name>.decoder.statistics]",
    )


class LatentDecoder:
    """Sampled latents z => images: what is decoded is z / scale, or std·(z / scale) + mean.

    Images are resized to the side `resize`, bicubic, where that is given.
    """

    def __init__(
        self,
        decoder: PixelDecoder,
        *,
        scale: float = 1.0,
        statistics: LatentStatistics | None = None,
        resize: int | None = None,
    ) -> None:
        self._decoder, self._scale, self._statistics, self._resize = decoder, scale, statistics, resize
        self.parameters = decoder.parameters

    def __call__(self, latents: Tensor, noise: Noise) -> Tensor:
        """(N, C, h, w) => float32 (N, 3, H, W), about [-1, 1]. Only a decoder that draws takes anything of `noise`."""
        z = latents.float() / self._scale
        if self._statistics is not None:
            z = self._statistics.restore(z)
        size = max(1, CELLS // (z.shape[-1] * z.shape[-2]))
        return torch.cat([self._resized(images) for images in self._decoded(torch.split(z, size), noise, size)])

    def _decoded(self, parts: Iterable[Tensor], noise: Noise, size: int) -> Iterator[Tensor]:
        if isinstance(self._decoder, DrawingDecoder):
            starts = noise.normal(self._decoder.start_shape)
            return map(self._decoder.decode_from, torch.split(starts, size), parts)
        return map(self._decoder.decode, parts)

    def _resized(self, images: Tensor) -> Tensor:
        if self._resize is None:
            return images
        return functional.interpolate(images, size=(self._resize, self._resize), mode="bicubic")


class Decoded:
    """A sampler of latents with its decoder: a sampler of images."""

    def __init__(self, sampler: Sampler, decoder: LatentDecoder) -> None:
        self._sampler, self._decoder = sampler, decoder
        self.parameters = sampler.parameters + decoder.parameters

    @property
    def nfe(self) -> float | None:
        """Evaluations of the latent model; the decoder is not counted."""
        return self._sampler.nfe

    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image for each generator and label: float32 (N, 3, H, W), about [-1, 1]."""
        return self._decoder(self._sampler.sample(noise, labels), noise)
