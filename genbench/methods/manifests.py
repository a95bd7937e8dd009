"""Manifests: the keys and shapes of an official state dict, ``registry/manifests/<name>.json``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from genbench.schema import check, load_json


def within(key: str, parts: Sequence[str]) -> bool:
    """Whether a key is one of `parts`, or begins with one that ends in a point: a module."""
    return key in parts or key.startswith(tuple(part for part in parts if part.endswith(".")))


class Manifest(BaseModel):
    """What a network must have; other keys of the file say where it was taken from."""

    model_config = ConfigDict(frozen=True)

    keys: dict[str, tuple[NonNegativeInt, ...]]
    """Shape by key."""
    buffers: frozenset[str] = frozenset()
    """Keys of what is no parameter."""
    ignore_prefixes: tuple[str, ...] = ()
    """What only training uses (see `within`)."""

    @property
    def parameters(self) -> int:
        """How many numbers the parameters have together, without what only training uses."""
        return sum(math.prod(shape) for key, shape in self.sampled.items() if key not in self.buffers)

    @property
    def sampled(self) -> dict[str, tuple[int, ...]]:
        """Shape by key, without what only training uses."""
        return {key: shape for key, shape in self.keys.items() if not within(key, self.ignore_prefixes)}


def load_manifest(path: Path) -> Manifest:
    """Read one manifest. Raises `ConfigError` for a file that cannot be read or is none."""
    return check(Manifest, load_json(path), str(path))
