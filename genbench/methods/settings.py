"""Settings that the presets of every family share. Imports no torch."""

from __future__ import annotations

from typing import Literal

from genbench.schema import Strict


class NetworkSettings(Strict):
    """How a network is evaluated, whatever its sampler does with it."""

    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Arithmetic of the network: with a half type under autocast, as the authors' mixed-precision runs. The state of
    the sampler stays float32 or wider."""
    compile: bool = False
    """Through ``torch.compile``: faster after a first slow batch; rounding differs."""
