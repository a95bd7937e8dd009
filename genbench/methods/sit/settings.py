"""What a card may say about SiT: arguments of the network and settings of presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from genbench.schema import Strict

Integrator = Literal["euler", "heun", "midpoint", "dopri5"]
DiffusionForm = Literal["sigma", "linear", "constant", "decreasing", "increasing-decreasing"]
LastStep = Literal["mean", "euler", "tweedie", "none"]


class SiTNetwork(Strict):
    """Arguments of `genbench.methods.sit.network.SiT`, which explains them."""

    input_size: int = Field(gt=0)
    patch_size: int = Field(gt=0)
    in_channels: int = Field(gt=0)
    hidden_size: int = Field(gt=0, multiple_of=4)
    depth: int = Field(gt=0)
    num_heads: int = Field(gt=0)
    num_classes: int = Field(gt=0)
    mlp_ratio: float = Field(default=4.0, gt=0)
    learn_sigma: bool = True

    @model_validator(mode="after")
    def _divides(self) -> SiTNetwork:
        if self.input_size % self.patch_size:
            raise ValueError(f"patch_size {self.patch_size} does not divide input_size {self.input_size}")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"num_heads {self.num_heads} does not divide hidden_size {self.hidden_size}")
        return self


class SiTSettings(Strict):
    """Settings as the authors count and name them (SiT, ``sample_ddp.py`` and ``transport/``)."""

    mode: Literal["ode", "sde"]
    steps: int = Field(ge=2)
    """Points of the time grid: an ODE makes ``steps - 1`` steps, an SDE ``steps - 1`` noisy steps and the last one."""
    integrator: Integrator = "euler"
    """Of the drift; an SDE takes euler (Euler-Maruyama) or heun."""
    cfg: float = Field(default=1.0, ge=0)
    """Classifier-free guidance: null + cfg·(conditional - null); 1 is off."""
    cfg_channels: int | None = Field(default=3, ge=1)
    """How many of the first channels are guided (the authors guide three of four); none for all."""
    rtol: float = Field(default=1e-3, gt=0)
    atol: float = Field(default=1e-6, gt=0)
    """Tolerances of dopri5."""
    diffusion: DiffusionForm = "sigma"
    diffusion_norm: float = Field(default=1.0, gt=0)
    """Form and size of the SDE's diffusion coefficient w(t)."""
    last_step: LastStep = "mean"
    last_step_size: float = Field(default=0.04, gt=0, lt=1)
    """How an SDE goes from ``1 - last_step_size`` to 1."""

    @model_validator(mode="after")
    def _consistent(self) -> SiTSettings:
        if self.mode == "sde" and self.integrator not in ("euler", "heun"):
            raise ValueError(f"an sde is integrated by euler or heun, not {self.integrator}")
        return self
