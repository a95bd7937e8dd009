"""What a card may say about DDT's network, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from genbench.methods.settings import NetworkSettings, check_divides, check_interval
from genbench.schema import Strict


class DDTNetwork(Strict):
    """Arguments of `genbench.methods.ddt.network.DDT`, which explains them."""

    input_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    num_groups: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    num_blocks: int = Field(gt=0)
    num_encoder_blocks: int = Field(gt=0)
    num_classes: int = Field(gt=0)

    @model_validator(mode="after")
    def _divides(self) -> DDTNetwork:
        check_divides(self, "patch_size", "input_size")
        if self.hidden_size % (4 * self.num_groups):
            raise ValueError(
                f"hidden_size {self.hidden_size} is not num_groups {self.num_groups} heads of a width that 4 divides"
            )
        if self.num_encoder_blocks >= self.num_blocks:
            raise ValueError(f"{self.num_encoder_blocks} encoder blocks of {self.num_blocks} leave no decoder")
        return self


class DDTSettings(NetworkSettings):
    """Settings as the authors count and name them (DDT, ``src/diffusion/stateful_flow_matching``)."""

    steps: int = Field(default=250, ge=1)
    """Steps, each one evaluation; the last one takes `last_step`, the others divide the rest evenly."""
    last_step: float | None = Field(default=0.04, gt=0, lt=1)
    """Length of the last step before the shift; none for ``1 / steps``."""
    shift: float = Field(default=1.0, gt=0)
    """Times t are moved to t / (t + (1 - t)·shift); 1 leaves them."""
    order: int = Field(default=1, ge=1, le=4)
    """Slopes that a step combines: 1 is Euler, more is Adams-Bashforth on the grid as it is."""
    noise: Literal["none", "preserve"] = "none"
    """``preserve``: every step but the last adds noise of variance (1 - t)·step and the drift that keeps the marginals
    (the authors' ``sde_preserve_step_fn``)."""
    cfg: float = Field(default=2.0, ge=0)
    """Classifier-free guidance: null + cfg·(conditional - null); 1 is off."""
    cfg_start: float = Field(default=0.3, ge=0, le=1)
    """See `cfg_end`."""
    cfg_end: float = Field(default=1.0, ge=0, le=1)
    """Guided at times between the two, themselves excluded."""
    share: int = Field(default=1, ge=1)
    """Steps that an encoder state serves, of the whole batch alike."""
    share_by: Literal["count", "similarity"] = "count"
    """``similarity``: as many states, computed at the steps where those of a fixed set of template samples differ most
    (DDT, section 3.4)."""

    @model_validator(mode="after")
    def _consistent(self) -> DDTSettings:
        check_interval(self.cfg_start, self.cfg_end)
        if self.noise != "none" and self.order > 1:
            raise ValueError(f"steps with noise are of order 1, not {self.order}")
        if self.share > self.steps:
            raise ValueError(f"share {self.share} is more than the {self.steps} steps")
        return self
