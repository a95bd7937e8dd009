"""MAGE's sampler: all codes at once, of which the surest are settled, again and again (MaskGIT, arXiv:2202.04200)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.mage.network import MAGE
from genbench.methods.mage.settings import MAGESettings
from genbench.methods.mage.tokenizer import MAGETokenizer
from genbench.methods.masking import masked_after
from genbench.methods.noise import Noise, gumbel
from genbench.methods.sampler import CodeSampler
from genbench.methods.solvers import Solution

M = TypeVar("M", bound=MAGE)
S = TypeVar("S", bound=MAGESettings)


class MaskedCodeSampler(CodeSampler[M, S, MAGETokenizer], Generic[M, S]):
    """A masked transformer with its tokenizer and one preset; what it samples are the tokenizer's latents.

    Raises `ConfigError` for a tokenizer of another number of codes than the transformer's.
    """

    training_only: ClassVar[tuple[str, ...]] = (
        "patch_embed.",
        "cls_token",
        "pos_embed",
        "mask_token",
        "decoder_pos_embed",
        "decoder_pred.",
        "token_emb.position_ids",
        "vqgan.",
    )

    def prepare(self) -> None:
        """The quantiser, whose codes must be the transformer's."""
        self.quantiser = self.tokenizer.quantiser
        if self.network.codebook_size != self.tokenizer.codebook_size:
            raise ConfigError(
                f"the transformer has {self.network.codebook_size} codes, its tokenizer {self.tokenizer.codebook_size}",
                hint="name the tokenizer that the transformer was trained with under [variants.<name>.decoder]",
            )

    def classes(self, network: Mapping[str, Any]) -> int | None:
        """None: images are of no class."""
        return None

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (1, h, w) of the grid of codes."""
        return 1, self.network.side, self.network.side

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """The transformer is evaluated once an iteration."""
        return Solution(self.quantiser.latents(self.indices(noise, labels)), self.settings.num_iter)

    def indices(self, noise: Noise, labels: Tensor) -> Tensor:
        """Codes (N, T) for labels (N,)."""
        s, network = self.settings, self.network
        first = self.first(noise, labels)
        codes = torch.full((len(labels), network.tokens), network.mask, device=self.device)
        left = network.tokens
        for iteration in range(s.num_iter):
            share = (iteration + 1) / s.num_iter
            probabilities = self.logits(codes, first, share).softmax(-1)
            settled = codes != network.mask
            drawn = torch.where(settled, codes, noise.categorical(probabilities))
            if iteration + 1 < s.num_iter:
                left = masked_after(iteration, s.num_iter, left, network.tokens)
                sure = probabilities.gather(2, drawn[..., None])[..., 0].log().masked_fill(settled, math.inf)
                sure = sure + self._doubt(noise, s.temp * (1 - share))
                codes = drawn.scatter(1, sure.argsort(dim=1, stable=True)[:, :left], network.mask)
        return drawn

    def first(self, noise: Noise, labels: Tensor) -> Tensor | None:
        """What takes the place of the first token's embedding: (N, E), or (2N, E) where logits are made of two."""
        return None

    def logits(self, codes: Tensor, first: Tensor | None, share: float) -> Tensor:
        """Of every code (N, T, K), in the iteration that ends a `share` of all."""
        return self.evaluate(codes, first)

    def _doubt(self, noise: Noise, size: float) -> Tensor | float:
        """Gumbel noise (N, T) of that size."""
        if not size:
            return 0.0
        return (size * gumbel(noise, (self.network.tokens,))).float().to(self.device)


class MAGESampler(MaskedCodeSampler[MAGE, MAGESettings]):
    """The transformer alone, without classes. See `MAGESettings` for what each setting means."""

    name = "MAGE"
    module = MAGE
