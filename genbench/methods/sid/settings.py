"""Settings of the presets of SiD and other one-step generators of its kind. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from genbench.methods.settings import NetworkSettings


class SiDSettings(NetworkSettings):
    """The one setting of the generators (``generate_onestep.py``'s ``sigma_G``, DMD2's ``conditioning_sigma``)."""

    sigma: float = Field(default=2.5, gt=0)
    """Noise level that the generator was trained at: 2.5 in SiD, 80 in DMD2."""
