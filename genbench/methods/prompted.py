"""Samplers that make images from prompts, as samplers of numbered ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from torch import Tensor

from genbench.errors import ConfigError, UsageError
from genbench.methods.catalog import Sampler
from genbench.methods.noise import Noise


@runtime_checkable
class TakesPrompts(Protocol):
    """What the class of a ``prompted`` variant offers besides."""

    def sample_prompts(self, noise: Noise, prompts: Sequence[str]) -> Tensor:
        """One image for each of the N noise generators and prompts: float32 (N, 3, H, W) in [-1, 1]."""
        ...


class Around:
    """What is put around a sampler and costs nothing besides."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    @property
    def nfe(self) -> float | None:
        """As the sampler's."""
        return self._sampler.nfe

    @property
    def parameters(self) -> int:
        """As the sampler's."""
        return self._sampler.parameters


class Prompted(Around):
    """A sampler whose label i means the i-th of `prompts`."""

    def __init__(self, sampler: Sampler, takes: TakesPrompts, prompts: Sequence[str]) -> None:
        super().__init__(sampler)
        self._takes, self._prompts = takes, prompts

    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image for each of the N noise generators and prompts, by their places (N,)."""
        return self._takes.sample_prompts(noise, [self._prompts[place] for place in labels.tolist()])


def prompted(sampler: Sampler, prompts: Sequence[str] | None, run: str) -> Prompted:
    """`sampler` of the run called `run` with the prompts of a suite.

    Raises `UsageError` where there are none, and `ConfigError` for a sampler that takes none.
    """
    if prompts is None:
        raise UsageError(f"{run} makes images from prompts, and there are none", hint="take a suite with prompts")
    if not isinstance(sampler, TakesPrompts):
        raise ConfigError(
            f"{run}: prompted = true, and {type(sampler).__name__} has no sample_prompts",
            hint="leave prompted out of the card, or give the class that method",
        )
    return Prompted(sampler, sampler, prompts)
