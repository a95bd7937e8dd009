"""Settings of SiT's presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from genbench.methods.settings import NetworkSettings

Integrator = Literal["euler", "heun", "midpoint", "dopri5"]
DiffusionForm = Literal["sigma", "linear", "constant", "decreasing", "increasing-decreasing", "sbdm"]
LastStep = Literal["mean", "euler", "tweedie", "none"]


class SiTSettings(NetworkSettings):
    """Settings as the authors count and name them (SiT, ``sample_ddp.py`` and ``transport/``)."""

    path: Literal["linear", "gvp", "vp"] = "linear"
    """From noise to data, as in training (see `genbench.methods.interpolants`)."""
    prediction: Literal["velocity", "noise", "score"] = "velocity"
    """What the network was trained to estimate."""
    mode: Literal["ode", "sde"]
    """Probability-flow ODE, or the reversed SDE."""
    steps: int = Field(ge=2)
    """Points of the time grid: an ODE makes ``steps - 1`` steps, an SDE ``steps - 1`` noisy steps and the last one."""
    integrator: Integrator = "euler"
    """Of the drift; an SDE takes euler (Euler-Maruyama) or heun."""
    cfg: float = Field(default=1.0, ge=0)
    """Classifier-free guidance: null + cfg·(conditional - null); 1 is off."""
    cfg_channels: int | None = Field(default=3, ge=1)
    """How many of the first channels are guided (the authors guide three of four); none for all."""
    rtol: float = Field(default=1e-3, gt=0)
    """See `atol`."""
    atol: float = Field(default=1e-6, gt=0)
    """Tolerances of dopri5."""
    diffusion: DiffusionForm = "sigma"
    """See `diffusion_norm`."""
    diffusion_norm: float = Field(default=1.0, gt=0)
    """Form and size of the SDE's diffusion coefficient w(t)."""
    last_step: LastStep = "mean"
    """See `last_step_size`."""
    last_step_size: float = Field(default=0.04, ge=0, lt=1)
    """How an SDE goes from ``1 - last_step_size`` to 1; a size of 0 leaves no last step."""

    @model_validator(mode="after")
    def _consistent(self) -> SiTSettings:
        if self.mode == "sde" and self.integrator not in ("euler", "heun"):
            raise ValueError(f"an sde is integrated by euler or heun, not {self.integrator}")
        if self.last_step != "none" and not self.last_step_size:
            raise ValueError(f"last_step {self.last_step} has a last_step_size above 0")
        return self
