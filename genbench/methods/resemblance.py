"""Which official network the tensors of a file are, for people whose file does not fit the card."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from genbench.methods.manifests import load_manifest, within

ALIKE = 0.8
"""Share of kinds of keys in common from which a file is said to look like a network."""


def resemblance(state: Mapping[str, Tensor], manifests: Sequence[Path]) -> str | None:
    """What the file is, in words, by the official keys and shapes in the folders `manifests`; None if it is like none.

    What a manifest says only training uses is left out on both sides. Raises `ConfigError` for a manifest that
    cannot be read.
    """
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    best, share = None, 0.0
    for path in sorted(path for folder in manifests for path in folder.glob("*.json")):
        manifest = load_manifest(path)
        official = manifest.sampled
        if official == {key: shape for key, shape in shapes.items() if not within(key, manifest.ignore_prefixes)}:
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
