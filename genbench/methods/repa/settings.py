"""What a card may say about the networks of the REPA family, and settings of its presets. Imports no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from genbench.methods.dit.settings import DiTNetwork
from genbench.methods.settings import NetworkSettings, check_interval


class REPANetwork(DiTNetwork):
    """Arguments of `genbench.methods.repa.network.RepresentationAlignedSiT`."""

    learn_sigma: Literal[False]
    """These networks have no variance half."""
    latent_statistics: bool = False


class REPASettings(NetworkSettings):
    """Settings as the authors count and name them (REPA, ``generate.py`` and ``samplers.py``); t = 1 is noise."""

    mode: Literal["ode", "sde"]
    """Probability-flow ODE, or the reversed SDE."""
    steps: int = Field(ge=1)
    """Steps: of an ODE from 1 to 0; of an SDE ``steps - 1`` noisy ones from 1 to `last_step_size`, and the last."""
    integrator: Literal["euler", "heun"] = "euler"
    """Heun's rule takes a second slope at all steps but the last; an SDE is integrated by euler (Euler-Maruyama)."""
    cfg: float = Field(default=1.0, ge=1)
    """Classifier-free guidance of all channels: null + cfg·(conditional - null); 1 is off."""
    guidance_low: float = Field(default=0.0, ge=0, le=1)
    """See `guidance_high`."""
    guidance_high: float = Field(default=1.0, ge=0, le=1)
    """Steps that start at a time from low to high, both included, are guided; the others take the conditional alone."""
    path: Literal["linear", "cosine"] = "linear"
    """What the network was trained on: weights of data and noise 1 - t and t, or cos(πt/2) and sin(πt/2)."""
    last_step_size: float = Field(default=0.04, gt=0, lt=1)
    """Where an SDE stops to be noisy; the authors fix it."""

    @model_validator(mode="after")
    def _consistent(self) -> REPASettings:
        if self.mode == "sde" and self.integrator != "euler":
            raise ValueError(f"an sde is integrated by euler, not {self.integrator}")
        if self.mode == "sde" and self.steps < 2:
            raise ValueError("an sde has 2 steps or more")
        check_interval(self.guidance_low, self.guidance_high)
        return self
