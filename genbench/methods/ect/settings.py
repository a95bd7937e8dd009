"""What a card may say about ECT's networks, and settings of its presets. Imports no torch."""

from __future__ import annotations

from itertools import pairwise
from typing import Self

from pydantic import Field, model_validator

from genbench.methods.edm.settings import EDMNetwork
from genbench.methods.settings import NetworkSettings


class ECTNetwork(EDMNetwork):
    """Arguments of `genbench.methods.ect.network.ECTDenoiser`: those of EDM's networks, and one more."""

    sigma_min: float = Field(default=0.003, gt=0)
    """Noise level at which the denoiser is the identity."""


class ECTSettings(NetworkSettings):
    """Settings by the authors' names (``ct_eval.py``)."""

    t_max: float = Field(default=80.0, gt=0)
    """Noise level of the first evaluation."""
    mid_t: float | str | None = None
    """Noise levels of further evaluations, falling; several with commas between, such as ``0.821,0.3``."""

    @property
    def levels(self) -> tuple[float, ...]:
        """Noise levels of all evaluations."""
        return self.t_max, *(float(part) for part in str(self.mid_t).split(",") if self.mid_t is not None)

    @model_validator(mode="after")
    def _falls(self) -> Self:
        try:
            levels = self.levels
        except ValueError:
            raise ValueError(f"mid_t {self.mid_t!r} is not numbers with commas between") from None
        if any(not after < before for before, after in pairwise(levels)) or not levels[-1] > 0:
            raise ValueError(f"noise levels {', '.join(map(str, levels))} do not fall towards 0")
        return self
