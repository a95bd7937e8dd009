"""VAR's multi-scale residual quantiser: each scale codes what the scales before it left (arXiv:2404.02905)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from genbench.methods.latents.codebook import QuantisedAutoencoder, QuantisedTokenizer, nearest_entries
from genbench.methods.latents.tokenizer import Encoded
from genbench.methods.transformer.lookup import lookup_table
from genbench.methods.var.settings import MultiScaleNetwork


class Phi(nn.Conv2d):
    """(1 - share)·h + share·convolution(h): mends what upsampling to the full grid blurs."""

    def __init__(self, channels: int, share: float) -> None:
        super().__init__(channels, channels, 3, padding=1)
        self.share = share

    def forward(self, h: Tensor) -> Tensor:
        """(N, C, P, P) => the same."""
        return (1 - self.share) * h + self.share * super().forward(h)


def phi_of_scales(scales: int, phis: int) -> list[int]:
    """Which phi each of the scales uses: that whose tick is nearest to the scale's place from 0 to 1.

    In float64 by NumPy, as the authors: two of ten scales lie midway between ticks, and rounding decides.
    """
    margin = 1 / 3 / phis if phis == 4 else 1 / 2 / phis
    ticks = np.linspace(margin, 1 - margin, phis)
    return [int(np.argmin(np.abs(ticks - scale / (scales - 1)))) for scale in range(scales)]


class MultiScaleQuantiser(nn.Module):
    """The codebook and the phis, with the official keys; P is the last scale's side.

    Args:
        codebook_size: entries.
        channels: C of an entry.
        patch_nums: side of each scale.
        phis: how many the scales share.
        phi_share: what a phi's convolution counts for.
        cosine: entries are nearest by angle, not by distance.
    """

    def __init__(
        self, *, codebook_size: int, channels: int, patch_nums: Sequence[int], phis: int, phi_share: float, cosine: bool
    ) -> None:
        super().__init__()
        self.codebook_size = codebook_size
        self.channels = channels
        self.patch_nums = tuple(patch_nums)
        self.cosine = cosine
        self.embedding = lookup_table(codebook_size, channels)
        ls = nn.ModuleList(Phi(channels, phi_share) for _ in range(phis))
        self.quant_resi = nn.ModuleDict({"qresi_ls": ls})
        self._phis = [ls[index] for index in phi_of_scales(len(self.patch_nums), phis)]

    @property
    def side(self) -> int:
        """P."""
        return self.patch_nums[-1]

    def forward(self, features: Tensor) -> Encoded:
        """Features (N, C, P, P) => their code: the sum of all scales (N, C, P, P), indices (N, T) scale by scale."""
        rest, total, indices = features, torch.zeros_like(features), []
        for scale in range(len(self.patch_nums)):
            indices.append(self.nearest(self.shrink(rest, scale)))
            part = self.grow(self.embedding(indices[-1]), scale)
            total, rest = total + part, rest - part
        return Encoded(total, torch.cat(indices, dim=1))

    def nearest(self, features: Tensor) -> Tensor:
        """Features (N, C, p, p) => index of each one's nearest entry, (N, p²) in row-major order."""
        vectors, entries = features.permute(0, 2, 3, 1).flatten(0, 2), self.embedding.weight
        if self.cosine:
            found = (functional.normalize(vectors, dim=1) @ functional.normalize(entries, dim=1).T).argmax(dim=1)
        else:
            found = nearest_entries(vectors, entries)
        return found.view(len(features), -1)

    def grow(self, codes: Tensor, scale: int) -> Tensor:
        """A scale's entries (N, p², C) => what they add to the sum, (N, C, P, P)."""
        p = self.patch_nums[scale]
        h = codes.transpose(1, 2).reshape(len(codes), self.channels, p, p)
        if p != self.side:
            h = functional.interpolate(h, size=(self.side, self.side), mode="bicubic")
        return self._phis[scale](h)  # type: ignore[no-any-return]

    def shrink(self, total: Tensor, scale: int) -> Tensor:
        """(N, C, P, P) => means over the cells of a scale's grid, (N, C, p, p)."""
        p = self.patch_nums[scale]
        return total if p == self.side else functional.interpolate(total, size=(p, p), mode="area")

    def sums(self, indices: Tensor) -> Iterator[Tensor]:
        """Indices (N, T) of all scales => the sum after each scale, (N, C, P, P)."""
        total: Tensor | None = None
        for scale, part in enumerate(torch.split(indices, [p * p for p in self.patch_nums], dim=1)):
            grown = self.grow(self.embedding(part), scale)
            total = grown if total is None else total + grown
            yield total

    def inputs(self, indices: Tensor) -> Tensor:
        """Indices (N, T) => what the transformer sees of them: each scale but the first as the sum of those before it
        at its size, (N, T - 1, C).
        """
        *before, _ = self.sums(indices)
        return torch.cat([self.shrink(f, scale).flatten(2).transpose(1, 2) for scale, f in enumerate(before, 1)], dim=1)


def module(network: MultiScaleNetwork) -> QuantisedAutoencoder[MultiScaleQuantiser]:
    """The autoencoder around the quantiser, not filled. Raises `UsageError` when diffusers is not installed."""
    quantiser = MultiScaleQuantiser(
        codebook_size=network.codebook_size,
        channels=network.code_channels,
        patch_nums=network.patch_nums,
        phis=network.phis,
        phi_share=network.phi_share,
        cosine=network.cosine,
    )
    channels = network.code_channels
    return QuantisedAutoencoder(
        network, quantiser, latent_channels=channels, code_channels=channels, kernel=network.kernel
    )


class MultiScaleTokenizer(QuantisedTokenizer[MultiScaleQuantiser]):
    """VAR's tokenizer with its weights.

    Raises `WeightsError` for weights that do not fit, and `UsageError` when diffusers is not installed.
    """

    def __init__(self, network: MultiScaleNetwork, state: dict[str, Tensor] | None, device: torch.device) -> None:
        side = network.patch_nums[-1] * network.factor
        super().__init__(
            lambda: module(network), network, state, device, codebook_size=network.codebook_size, side=side
        )
