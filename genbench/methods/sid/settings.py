"""Settings of SiD's presets. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from genbench.methods.settings import NetworkSettings


class SiDSettings(NetworkSettings):
    """The one setting of the generator by the authors' name (``generate_onestep.py``)."""

    sigma: float = Field(default=2.5, gt=0)
    """Noise level that the generator was trained at."""
