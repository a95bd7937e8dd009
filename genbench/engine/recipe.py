"""A run's images as data: everything that any process needs to sample them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genbench.engine.inputs import SampledImages
from genbench.errors import WeightsError
from genbench.methods.efficiency import count
from genbench.methods.loading import WeightsOnDisk, find_weights, identity, load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import Run


@dataclass(frozen=True)
class Recipe:
    """Images of consecutive seeds of a run."""

    run: Run
    weights: WeightsOnDisk | None
    """Where they lie in the process that made the recipe."""
    first_seed: int
    labels: npt.NDArray[np.int64]
    """Of consecutive seeds, (N,)."""
    prompts: tuple[str, ...] | None
    """What label i means, for a run that takes prompts."""
    device: str
    cache: Path
    registry: Sequence[Path]
    allow_pickle: bool

    def __call__(self) -> SampledImages:
        """Load the sampler, and count its arithmetic on the first image. Raises what loading raises."""
        sampler = load_sampler(
            self.run,
            self.weights,
            self.device,
            registry=self.registry,
            prompts=self.prompts,
            allow_pickle=self.allow_pickle,
        )
        label = torch.from_numpy(self.labels[:1].copy()).to(self.device)
        return SampledImages(
            sampler,
            first_seed=self.first_seed,
            labels=self.labels,
            quantise=self.run.variant.quantise,
            resolution=self.run.variant.resolution,
            device=self.device,
            efficiency=count(sampler, SeededNoise([self.first_seed], self.device), label),
        )

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other processes, which may work in another folder: a read-only mapping would not."""
        family = self.run.family
        run = replace(self.run, family=family._replace(tiny=dict(family.tiny)))
        return {**vars(self), "run": run, "cache": self.cache.absolute()}

    def here(self, device: str) -> Recipe:
        """The same for this process, with the weights that lie on this machine, fetched if need be.

        Raises `WeightsError` for weights that cannot be had here, or are others than where the recipe was made.
        """
        weights = find_weights(self.run, cache=self.cache, registry=self.registry)
        if identity(self.run, weights) != identity(self.run, self.weights):
            raise WeightsError(
                f"{self.run.name}: the weights on this machine are not those on the machine that planned the run",
                hint="bring the registry and the cache of weights of both machines to one state",
            )
        return replace(self, weights=weights, device=device)
