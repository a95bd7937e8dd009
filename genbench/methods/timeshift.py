"""Time grids of flows, moved towards one end (Esser et al., arXiv:2403.03206, equation 23)."""

from __future__ import annotations

from torch import Tensor


def shifted(t: Tensor, shift: float) -> Tensor:
    """shift·t / (1 + (shift - 1)·t) for times in [0, 1]: below 1 the shift moves them towards 0, above towards 1."""
    return shift * t / (1 + (shift - 1) * t)
