"""Settings of the presets of rectified flows. Imports no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from genbench.methods.settings import NetworkSettings


class RectifiedFlowSettings(NetworkSettings):
    """Settings of the sampler by the authors' names; t = 1 is noise."""

    steps: int = Field(default=1, ge=1)
    """Evaluations (the authors' N). Euler makes as many steps, heun one for each two, and one of Euler to t = 0."""
    solver: Literal["euler", "heun"] = "euler"
    """Rule of the steps (see `steps`)."""
    update: Literal["default", "new"] = "default"
    """``default`` follows the velocity; ``new`` mixes the estimate of the data with the noise of the start."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.solver == "heun" and self.steps % 2 == 0:
            raise ValueError(f"heun makes an odd number of evaluations, not {self.steps}")
        return self
