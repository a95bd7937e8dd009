"""MAR's sampler: tokens in random order, more at a time, each drawn by its own diffusion given those before it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.ddpm import schedule
from genbench.methods.mar.network import MAR
from genbench.methods.mar.settings import MARSettings
from genbench.methods.masking import masked_after
from genbench.methods.networks import evaluate
from genbench.methods.noise import Noise
from genbench.methods.sampler import NetworkSampler
from genbench.methods.solvers import Solution


class MARSampler(NetworkSampler[MAR, MARSettings]):
    """The network with one preset. See `MARSettings` for what each setting means."""

    name = "MAR"
    module = MAR

    def prepare(self) -> None:
        """The diffusion head is evaluated apart from the transformer."""
        self.denoise = evaluate(self.network.head, self.settings, self.device)
        self.schedule = schedule(self.settings.diffusion_steps, "even", "cosine")

    def classes(self, network: Mapping[str, Any]) -> int | None:
        """The null class is no label."""
        return self.network.class_emb.num_embeddings

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (C, h, w) of the latents."""
        patch = self.network.patch_size
        return self.network.channels // patch**2, self.network.side * patch, self.network.side * patch

    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """The transformer is evaluated once each time tokens are added; its diffusion head is not counted."""
        s, network, n = self.settings, self.network, len(labels)
        order = noise.uniform((network.tokens,)).to(self.device).argsort(dim=1, stable=True)
        condition = network.class_emb(labels)
        if s.cfg != 1:
            condition = torch.cat([condition, network.fake_latent.expand(n, -1)])
        x = condition.new_zeros(n, network.tokens, network.channels)
        known = torch.zeros(n, network.tokens, dtype=torch.bool, device=self.device)
        left, evaluations = network.tokens, 0
        for iteration in range(s.iterations):
            after = masked_after(iteration, s.iterations, left, network.tokens)
            stop = 0 if iteration == s.iterations - 1 else after
            if stop == left:  # fewer tokens than iterations
                continue
            places = order[:, stop:left].sort(dim=1).values
            scale = 1 + (s.cfg - 1) * (network.tokens - after) / network.tokens if s.cfg_schedule == "linear" else s.cfg
            doubled = len(condition) // n
            z = self.evaluate(x.repeat(doubled, 1, 1), known.repeat(doubled, 1), condition)
            there = places.repeat(doubled, 1)[..., None].expand(-1, -1, z.shape[2])
            drawn = self._tokens(z.gather(1, there), scale, noise)
            x = x.scatter(1, places[..., None].expand_as(drawn), drawn)
            known = known.scatter(1, places, value=True)
            left, evaluations = stop, evaluations + 1
        return Solution(network.unpatchify(x), evaluations)

    def _tokens(self, z: Tensor, scale: float, noise: Noise) -> Tensor:
        """What the transformer says of k places, (N, k, D), or [conditional, null] (2N, k, D) => tokens (N, k, C)."""
        shape = (z.shape[1], self.network.channels)
        x = noise.normal(shape).to(self.device)
        for i in reversed(range(self.settings.diffusion_steps)):
            epsilon, share = self.estimate(x, z, i, scale)
            mean, spread = self.schedule.ancestral(x, self.schedule.data(x, epsilon, i), share, i)
            x = mean
            if spread is not None:
                x = mean + spread * noise.normal(shape).to(self.device) * self.settings.temperature
        return x

    def estimate(self, x: Tensor, z: Tensor, i: int, scale: float) -> tuple[Tensor, Tensor]:
        """Guided noise and the conditional share of the variance of tokens x (N, k, C) at retained step i."""
        both = x if len(z) == len(x) else torch.cat([x, x])
        t = self.schedule.timestep_map[i].to(self.device).expand(both.shape[0] * both.shape[1])
        output = self.denoise(both.flatten(0, 1), t, z.flatten(0, 1)).view(*both.shape[:2], -1)
        epsilon, share = output.chunk(2, dim=2)
        if both is x:
            return epsilon, share
        conditional, null = epsilon.chunk(2)
        return null + scale * (conditional - null), share[: len(x)]
