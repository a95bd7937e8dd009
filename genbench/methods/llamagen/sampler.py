"""LlamaGen's sampler: one code after another in row-major order, each drawn given those before it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.llamagen.network import LlamaGen
from genbench.methods.llamagen.quantiser import Codebook
from genbench.methods.llamagen.settings import LlamaGenSettings
from genbench.methods.networks import evaluate
from genbench.methods.noise import Noise
from genbench.methods.sampler import CodeSampler, check_codes
from genbench.methods.solvers import Solution
from genbench.methods.transformer.rotary import Rotation
from genbench.methods.truncation import truncate


class LlamaGenSampler(CodeSampler[LlamaGen, LlamaGenSettings, Codebook]):
    """The transformer with its tokenizer and one preset. See `LlamaGenSettings` for what each setting means.

    What it samples are the tokenizer's latents. Raises `ConfigError` for a tokenizer of another number of codes than
    the transformer's, and for a `top_k` larger than the vocabulary.
    """

    name = "LlamaGen"
    module = LlamaGen

    def prepare(self) -> None:
        """The quantiser, whose codes must be the transformer's, and what every token is evaluated with."""
        self.quantiser = self.tokenizer.quantiser
        codes = self.network.output.out_features
        self.settings.fits({"vocab_size": codes})
        check_codes(f"{codes} codes", f"{self.tokenizer.codebook_size} codes")
        self._step = evaluate(self.network.step, self.settings, self.device)
        self._rotation = self.network.rotation(self.device)

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """Everything but the table of rotations, which some files hold and none needs."""
        return {key: value for key, value in state.items() if key != "freqs_cis"}

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (1, h, w) of the grid of codes."""
        side = math.isqrt(self.network.block_size)
        return 1, side, side

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """Each token is evaluated once, over the keys and values of those before it."""
        indices = self.indices(noise, labels)
        return Solution(self.quantiser.latents(indices, self.shape[1]), indices.shape[1])

    def indices(self, noise: Noise, labels: Tensor) -> Tensor:
        """Codes (N, T) for labels (N,)."""
        network, found = self.network, list[Tensor]()
        scales, caches = self.scales(), network.caches()
        guided = any(scale != 1 for scale in scales)
        rows = torch.cat([labels, torch.full_like(labels, network.num_classes)]) if guided else labels
        embedded = network.cls_embedding(rows)
        for token in range(network.block_size):
            place = Rotation(*(table[token : token + 1] for table in self._rotation))
            found.append(
                self._draw(self.guided(self._step(embedded, place, caches), len(labels), scales[token]), noise)
            )
            if guided and token == self._last_guided:
                guided = False
                for cache in caches:
                    cache.keep(len(labels))
            embedded = network.tok_embeddings(torch.cat([found[-1]] * (1 + guided)))
        return torch.stack(found, dim=1)

    @property
    def _last_guided(self) -> int | None:
        """Token after which the null half is not needed any more; none where it always is."""
        interval = self.settings.cfg_interval
        return None if interval is None else interval + 1

    def scales(self) -> list[float]:
        """Guidance of each token in turn."""
        return [self.settings.cfg] * self.network.block_size

    def guided(self, logits: Tensor, n: int, scale: float) -> Tensor:
        """Of [conditional, null], or of the conditional alone, the logits (N, K) that codes are drawn from."""
        if len(logits) == n:
            return logits
        conditional, null = logits.chunk(2)
        return null + scale * (conditional - null)

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (N, K) => what codes are drawn by, (N, K)."""
        s = self.settings
        return truncate(logits / s.temperature, s.top_k, s.top_p).softmax(-1)

    def _draw(self, logits: Tensor, noise: Noise) -> Tensor:
        probabilities = self.probabilities(logits)
        return probabilities.argmax(-1) if self.settings.greedy else noise.categorical(probabilities)
