"""VAR's sampler: codes of each scale drawn at once, from logits that guidance moves more the finer the scale."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from genbench.methods.noise import Noise, gumbel
from genbench.methods.sampler import CodeSampler, T, check_codes
from genbench.methods.solvers import Solution
from genbench.methods.truncation import truncate
from genbench.methods.var.network import VAR, ScaleTransformer
from genbench.methods.var.quantiser import MultiScaleTokenizer
from genbench.methods.var.settings import ScaleSettings, VARSettings

M = TypeVar("M", bound=ScaleTransformer)
S = TypeVar("S", bound=ScaleSettings)


class ScaleSampler(CodeSampler[M, S, T], Generic[M, S, T]):
    """A transformer of growing scales with its tokenizer and one preset; what it samples are the tokenizer's latents.

    A family says how strongly a scale is guided, what its codes make of the image so far, and what of that the next
    scale sees.
    """

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (C, P, P) of the tokenizer's latents."""
        side = self.network.patch_nums[-1]
        return self.network.word_embed.in_features, side, side

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From the coarsest scale to the finest; each is evaluated once, over the keys and values of those before."""
        cfg, scales = self.settings.cfg, len(self.network.patch_nums)
        rows = torch.cat([labels, torch.full_like(labels, self.network.num_classes)]) if cfg else labels
        caches, inputs, latents = self.network.caches(), None, None
        for scale in range(scales):
            logits = self.guided(self.evaluate(rows, inputs, scale, caches), self.strength(scale))
            latents = self.extended(latents, logits, scale, noise)
            if scale + 1 < scales:
                seen = self.seen(latents, scale + 1).flatten(2).transpose(1, 2)
                inputs = torch.cat([seen, seen]) if cfg else seen
        assert latents is not None
        return Solution(latents, scales)

    def guided(self, logits: Tensor, t: float) -> Tensor:
        """Of [conditional, null] the guided ones; what is not guided is conditional alone."""
        if not self.settings.cfg:
            return logits
        conditional, null = logits.chunk(2)
        return (1 + t) * conditional - t * null

    def drawable(self, logits: Tensor, scale: int) -> Tensor:
        """Guided logits (N, p², K) of a scale, with those that may not be drawn at -inf."""
        return truncate(logits, self.settings.top_k, self.settings.top_p)

    @abstractmethod
    def strength(self, scale: int) -> float:
        """The t by which a scale's logits (1 + t)·conditional - t·null are guided."""

    @abstractmethod
    def extended(self, latents: Tensor | None, logits: Tensor, scale: int, noise: Noise) -> Tensor:
        """The latents after a scale, of those before it, none for the first, and its logits (N, p², K)."""

    @abstractmethod
    def seen(self, latents: Tensor, scale: int) -> Tensor:
        """Latents after the scale before => what a scale's tokens are embedded of, (N, C, p, p)."""


class VARSampler(ScaleSampler[VAR, VARSettings, MultiScaleTokenizer]):
    """The transformer with its tokenizer and one preset. See `VARSettings` for what each setting means.

    Raises `ConfigError` for a tokenizer of other codes than the transformer's, and for a `top_k` larger than the
    vocabulary.
    """

    name = "VAR"
    module = VAR

    def prepare(self) -> None:
        """The quantiser, whose codes must be the transformer's."""
        self.quantiser = q = self.tokenizer.quantiser
        self.settings.fits({"vocab_size": q.codebook_size})
        codes, channels = self.network.head.out_features, self.network.word_embed.in_features
        check_codes(
            f"{codes} codes of {channels} channels on scales {self.network.patch_nums}",
            f"{q.codebook_size} codes of {q.channels} channels on scales {q.patch_nums}",
        )

    def strength(self, scale: int) -> float:
        """From 0 at the first scale to `cfg` at the last."""
        return self.settings.cfg * self._place(scale)

    def extended(self, latents: Tensor | None, logits: Tensor, scale: int, noise: Noise) -> Tensor:
        """The sum of all scales so far, (N, C, P, P)."""
        part = self.quantiser.grow(self._codes(self.drawable(logits, scale), self._place(scale), noise), scale)
        return part if latents is None else latents + part

    def seen(self, latents: Tensor, scale: int) -> Tensor:
        """The sum at the scale's size."""
        return self.quantiser.shrink(latents, scale)

    def _place(self, scale: int) -> float:
        """Of a scale, from 0 for the first to 1 for the last."""
        return scale / (len(self.network.patch_nums) - 1)

    def _codes(self, kept: Tensor, ratio: float, noise: Noise) -> Tensor:
        """Logits (N, p², K) => entries of the codebook, or mixtures of them, (N, p², C)."""
        entries = self.quantiser.embedding
        if not self.settings.more_smooth:
            return entries(noise.categorical(kept.softmax(-1)))  # type: ignore[no-any-return]
        temperature = max(0.27 * (1 - 0.95 * ratio), 0.005)
        drawn = gumbel(noise, kept.shape[1:]).float().to(kept.device)
        return ((kept * (1 + ratio) + drawn) / temperature).softmax(-1) @ entries.weight
