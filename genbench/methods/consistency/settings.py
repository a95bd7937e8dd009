"""Settings of the presets of consistency models. Imports no torch."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.settings import ChurnSettings


def places_in_grid(text: str, steps: int) -> tuple[int, ...]:
    """The authors' ``ts``, such as ``0,22,39``: indices into a grid of `steps` noise levels.

    Raises `ValueError` unless they increase and end at the last level, ``steps - 1``, at which nothing is evaluated.
    """
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise ValueError(f'ts {text!r} is not whole numbers between commas, such as "0,{steps // 2},{steps - 1}"')
    places = tuple(int(part) for part in text.split(","))
    if len(places) < 2 or any(b <= a for a, b in pairwise(places)):
        raise ValueError(f"ts {text!r} does not increase")
    if places[-1] != steps - 1:
        raise ValueError(f"ts {text!r} does not end at the last of {steps} steps, {steps - 1}")
    return places


class ConsistencySettings(ChurnSettings):
    """Settings by the authors' names (``image_sample.py`` and ``karras_diffusion.py``)."""

    sampler: Literal["onestep", "multistep", "heun", "dpm", "euler", "ancestral", "progdist"] = "onestep"
    """``onestep`` and ``multistep`` are for consistency models, the others for what they are distilled from:
    ``progdist`` is Euler's method that stops at the last noise level, ``dpm`` k-diffusion's DPM-2."""
    steps: int = Field(default=40, ge=1)
    """Noise levels in the grid."""
    ts: str | None = None
    """Levels of ``multistep`` by their indices, such as ``0,22,39``; the last one ends the list and takes no step."""
    parametrisation: Literal["consistency", "edm"] = "consistency"
    """Whether the network's output is the identity at `sigma_min`, or weighed as in EDM, as the teachers' is."""
    clip: bool = True
    """Clip every estimate of the data to [-1, 1]; the last one is clipped in any case."""

    @model_validator(mode="after")
    def _ts_belongs(self) -> Self:
        if (self.ts is not None) != (self.sampler == "multistep"):
            raise ValueError("sampler multistep, and no other, needs ts")
        if self.ts is not None:
            places_in_grid(self.ts, self.steps)
        return self
