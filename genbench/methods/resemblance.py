"""Which official network the tensors of a file are, for people whose file does not fit the card."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

ALIKE = 0.8
"""Share of kinds of keys in common from which a file is said to look like a network."""


def resemblance(state: Mapping[str, Tensor], manifests: Sequence[Path]) -> str | None:
    """What the file is, in words, by the official keys and shapes in the folders `manifests`; None if it is like none.

    Training-only prefixes that a manifest names are left out on both sides.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    best, share = None, 0.0
    for path in sorted(path for folder in manifests for path in folder.glob("*.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        ignored = tuple(manifest.get("ignore_prefixes", ()))
        official = {key: tuple(shape) for key, shape in manifest["keys"].items() if not key.startswith(ignored)}
        if official == {key: shape for key, shape in shapes.items() if not key.startswith(ignored)}:
            return f"it holds exactly the keys and shapes of {path.stem}"
        alike = _overlap(_kinds(official), _kinds(shapes))
        if alike > share:
            best, share = path.stem, alike
    return f"its keys look like those of {best}, in another size" if best and share >= ALIKE else None


def _kinds(keys: Iterable[str]) -> set[str]:
    """Keys without the numbers of blocks."""
    return {re.sub(r"\d+", "N", key) for key in keys}


def _overlap(first: set[str], second: set[str]) -> float:
    return len(first & second) / len(first | second)
