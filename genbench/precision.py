"""How exactly the networks of feature spaces compute."""

from __future__ import annotations

from typing import Literal

Precision = Literal["exact", "fast"]
"""exact: strict float32. fast: the network in bfloat16; other values, so another digest."""
