"""RCG's sampler: a representation by DDIM, then MAGE's iterations told it, guided against no representation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from genbench.methods.ddpm import shifted_schedule
from genbench.methods.mage.sampler import MaskedCodeSampler
from genbench.methods.networks import evaluate
from genbench.methods.noise import Noise
from genbench.methods.rcg.network import RCG
from genbench.methods.rcg.rdm import averaged
from genbench.methods.rcg.settings import RCGSettings

_RDM = "rdm."


class RCGSampler(MaskedCodeSampler[RCG, RCGSettings]):
    """Both networks with one preset; those of the denoiser of representations are not counted among the evaluations.

    See `RCGSettings` for what each setting means.
    """

    name = "RCG"
    module = RCG
    training_only = (*MaskedCodeSampler.training_only, "pretrained_encoder.")

    def prepare(self) -> None:
        """The denoiser of representations is evaluated apart from the transformer."""
        super().prepare()
        self.denoise = evaluate(self.network.rdm, self.settings, self.device)
        self._schedule = shifted_schedule(self.settings.rdm_steps, *self.network.rdm.betas)

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """The transformer's part as MAGE keeps it, and the moving average of the denoiser."""
        transformer = {key: value for key, value in state.items() if not key.startswith(_RDM)}
        denoiser = {key.removeprefix(_RDM): value for key, value in state.items() if key.startswith(_RDM)}
        told = averaged(denoiser)
        if not network["rdm"].get("n_classes"):  # a single embedding stands there then, which nothing reads
            told.pop("cond_stage_model.embedding.weight", None)
        return super().kept(transformer, network) | {f"{_RDM}{key}": value for key, value in told.items()}

    def classes(self, network: Mapping[str, Any]) -> int | None:
        """Those of the denoiser of representations."""
        return self.network.rdm.n_classes

    def first(self, noise: Noise, labels: Tensor) -> Tensor:
        """Of a representation each, (N, E); with guidance also of none, [conditional, null] (2N, E)."""
        told = self.representations(noise, labels)
        if self.settings.cfg:
            told = torch.cat([told, self.network.fake_latent.expand_as(told)])
        return self.network.first(told)

    def representations(self, noise: Noise, labels: Tensor) -> Tensor:
        """Representations (N, C) for labels (N,)."""
        shape, times = (self.network.rdm.channels,), self._schedule.timestep_map.to(self.device)
        x = noise.normal(shape).to(self.device)
        for i in reversed(range(self.settings.rdm_steps)):
            data = self.denoise(x, times[i].expand(len(x)), labels)
            x, spread = self._schedule.implicit(x, data, i, self.settings.eta)
            if spread is not None:
                x = x + spread * noise.normal(shape).to(self.device)
        return x

    def logits(self, codes: Tensor, first: Tensor | None, share: float) -> Tensor:
        """Of every code (N, T, K), guided the more the larger the `share` of iterations done."""
        if not self.settings.cfg:
            return super().logits(codes, first, share)
        conditional, null = self.evaluate(torch.cat([codes, codes]), first).chunk(2)
        return conditional + self.settings.cfg * share * (conditional - null)
