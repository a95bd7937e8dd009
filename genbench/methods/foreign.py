"""Samplers that are not genbench's: what goes wrong in them is told as theirs, with the line."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from genbench.errors import ConfigError, GenbenchError
from genbench.methods.catalog import Sampler
from genbench.methods.noise import Noise
from genbench.methods.prompted import Around, TakesPrompts


class Foreign(Around):
    """A sampler of a class that a user or an installed package brought."""

    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """See `Sampler.sample`. Raises `ConfigError` for what the class raises, but for a lack of memory."""
        with _told_as_of(type(self._sampler)):
            return self._sampler.sample(noise, labels)


class ForeignOfPrompts(Foreign):
    """One that makes images from prompts."""

    def __init__(self, sampler: Sampler, takes: TakesPrompts) -> None:
        super().__init__(sampler)
        self._takes = takes

    def sample_prompts(self, noise: Noise, prompts: Sequence[str]) -> Tensor:
        """See `TakesPrompts.sample_prompts`. Raises as `sample`."""
        with _told_as_of(type(self._takes)):
            return self._takes.sample_prompts(noise, prompts)


def build_foreign(build: Callable[..., Sampler], arguments: dict[str, Any]) -> Sampler:
    """The sampler that the class makes of its arguments. Raises `ConfigError` for what it raises."""
    with _told_as_of(build):
        sampler = build(**arguments)
    return ForeignOfPrompts(sampler, sampler) if isinstance(sampler, TakesPrompts) else Foreign(sampler)


@contextmanager
def _told_as_of(build: Callable[..., Any]) -> Iterator[None]:
    try:
        yield
    except (GenbenchError, torch.OutOfMemoryError):  # the latter is answered with smaller batches
        raise
    except Exception as error:  # whatever somebody else's code may raise
        file, frames = inspect.getsourcefile(build), traceback.extract_tb(error.__traceback__)
        line = next((frame.lineno for frame in reversed(frames) if frame.filename == file), None)
        where = f"{file}:{line}" if line else str(file)
        raise ConfigError(
            f"{where}: {build.__qualname__} raised {type(error).__name__}: {error}",
            hint="correct the class, or what the card gives it; `genbench validate CARD` tries it on two images",
        ) from error
