"""What a card may say about FlowTurbo's networks, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from genbench.methods.dit.settings import DiTNetwork
from genbench.methods.settings import NetworkSettings


class FlowTurboNetwork(DiTNetwork):
    """Arguments of `genbench.methods.flowturbo.network.FlowTurbo`, which explains them."""

    refiner: DiTNetwork | None = None

    @model_validator(mode="after")
    def _refines(self) -> Self:
        if self.refiner is not None:
            shared = ("input_size", "in_channels", "num_classes")
            if other := [name for name in shared if getattr(self.refiner, name) != getattr(self, name)]:
                raise ValueError(f"the refiner is of another {' and '.join(other)} than the network")
        return self


class FlowTurboSettings(NetworkSettings):
    """Equal steps from t = 0, noise, to 1 in this order, each by the mean of two slopes (the authors' ``N_H``, ``N_P``
    and ``N_R``)."""

    heun: int = Field(ge=0)
    """Steps whose slopes are both estimated."""
    pseudo: int = Field(ge=0)
    """Steps that take the second slope of the step before as their first."""
    refined: int = Field(ge=0)
    """Steps whose slopes are earlier ones with the refiner's corrections."""
    cfg: float = Field(default=1.5, ge=1)
    """Classifier-free guidance of velocities and of corrections: null + cfg·(conditional - null); 1 is off."""
    cfg_channels: int | None = Field(default=3, ge=1)
    """How many of the first channels are guided (the authors guide three of four); none for all."""

    @property
    def companions(self) -> bool:
        """The refiner is evaluated in refined steps alone."""
        return self.refined > 0

    @model_validator(mode="after")
    def _starts(self) -> Self:
        if not self.heun + self.pseudo:
            raise ValueError("refined steps need a velocity to correct: heun or pseudo is above 0")
        return self
