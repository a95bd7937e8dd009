"""VAR's sampler: codes of each scale drawn at once, from logits that guidance moves more the finer the scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.noise import Noise
from genbench.methods.sampler import CodeSampler
from genbench.methods.solvers import Solution
from genbench.methods.truncation import truncate
from genbench.methods.var.network import VAR
from genbench.methods.var.quantiser import MultiScaleTokenizer
from genbench.methods.var.settings import VARSettings

_SMALLEST_UNIFORM = 2.0**-25
"""In place of a uniform draw of 0, which has no logarithm: half of the next larger one."""


class VARSampler(CodeSampler[VAR, VARSettings, MultiScaleTokenizer]):
    """The transformer with its tokenizer and one preset. See `VARSettings` for what each setting means.

    What it samples are the tokenizer's latents. Raises `ConfigError` for a tokenizer of other codes than the
    transformer's, and for a `top_k` larger than the vocabulary.
    """

    name = "VAR"
    module = VAR

    def prepare(self) -> None:
        """The quantiser, whose codes must be the transformer's."""
        self.quantiser = self.tokenizer.quantiser
        self.settings.fits({"vocab_size": self.quantiser.codebook_size})
        own = (self.network.head.out_features, self.network.word_embed.in_features, self.network.patch_nums)
        theirs = (self.quantiser.codebook_size, self.quantiser.channels, self.quantiser.patch_nums)
        if own != theirs:
            raise ConfigError(
                f"the transformer has {own[0]} codes of {own[1]} channels on scales {own[2]}, "
                f"its tokenizer {theirs[0]} of {theirs[1]} on {theirs[2]}",
                hint="name the tokenizer that the transformer was trained with under [variants.<name>.decoder]",
            )

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (C, P, P) of the tokenizer's latents."""
        side = network["patch_nums"][-1]
        return self.network.word_embed.in_features, side, side

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """From the coarsest scale to the finest; each is evaluated once, over the keys and values of those before."""
        s, quantiser = self.settings, self.quantiser
        scales = len(self.network.patch_nums)
        rows = torch.cat([labels, torch.full_like(labels, self.network.num_classes)]) if s.cfg else labels
        caches, inputs = self.network.caches(), None
        total = torch.zeros(len(labels), *self.shape, device=self.device)
        for scale in range(scales):
            ratio = scale / (scales - 1)
            logits = self.guided(self.evaluate(rows, inputs, scale, caches), s.cfg * ratio)
            total = total + quantiser.grow(self._codes(logits, ratio, noise), scale)
            if scale + 1 < scales:
                coarse = quantiser.shrink(total, scale + 1).flatten(2).transpose(1, 2)
                inputs = torch.cat([coarse, coarse]) if s.cfg else coarse
        return Solution(total, scales)

    def guided(self, logits: Tensor, t: float) -> Tensor:
        """Of [conditional, null] the guided ones; what is not guided is conditional alone."""
        if not self.settings.cfg:
            return logits
        conditional, null = logits.chunk(2)
        return (1 + t) * conditional - t * null

    def _codes(self, logits: Tensor, ratio: float, noise: Noise) -> Tensor:
        """Logits (N, p², K) => entries of the codebook, or mixtures of them, (N, p², C)."""
        s, entries = self.settings, self.quantiser.embedding
        kept = truncate(logits, s.top_k, s.top_p)
        if not s.more_smooth:
            return entries(noise.categorical(kept.softmax(-1)))  # type: ignore[no-any-return]
        temperature = max(0.27 * (1 - 0.95 * ratio), 0.005)
        uniform = noise.uniform(kept.shape[1:]).to(kept.device).double().clamp_min(_SMALLEST_UNIFORM)
        gumbel = -(-torch.log1p(-uniform)).log().float()
        return ((kept * (1 + ratio) + gumbel) / temperature).softmax(-1) @ entries.weight
