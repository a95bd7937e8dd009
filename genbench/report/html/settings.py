"""Where a report finds what it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genbench.precision import Precision


@dataclass(frozen=True)
class Settings:
    """Folders, and what may be spent on images that have to be sampled again."""

    results: Path
    """Records, with a preview of the first images beside each."""
    cache: Path
    """Features and influences."""
    registry: Sequence[Path]
    precision: Precision = "exact"
    """Show what was measured with such features."""
    sampling_seconds: float = 20.0
    """Time a suite for sampling single images again, by the speed that their records tell; 0 for none."""
    device: str = "cpu"
