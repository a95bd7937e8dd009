"""Full-size networks whose weights are a formula of their keys: the authors' code and genbench's fill the same.

Tiny networks do not show where attention stands, how heads are laid out or how widths multiply. A file
``<family>-<name>.json`` names the official keys and shapes and says how they are filled; the results of the authors'
code stand beside it in ``<family>-<name>.safetensors``. Each family's ``vectors.py`` knows its own.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from genbench.errors import ConfigError
from genbench.methods.manifests import load_manifest
from genbench.paths import data_folders
from genbench.schema import load_json
from genbench.weights import load_tensors


class Rule(NamedTuple):
    """How the keys that a pattern is found in are filled: mean + std·z."""

    pattern: str
    mean: float
    std: float


def fill(key: str, shape: tuple[int, ...], seed: int, rules: list[Rule]) -> Tensor:
    """The weight of a key, float32: z from the key's CRC-32 and the seed, by the first rule that fits.

    Where none fits, vectors (and scalars) are 0.1·z, about 1 if the key ends in ``weight``; the rest is z over the
    root of what one output sums.
    """
    stream = (zlib.crc32(key.encode()) + seed) % 2**31
    # The formula names the legacy generator, whose stream NumPy keeps.
    z = np.random.RandomState(stream).standard_normal(int(np.prod(shape))).reshape(shape)
    rule = next((rule for rule in rules if re.search(rule.pattern, key)), None)
    if rule is not None:
        value = rule.mean + rule.std * z
    elif len(shape) <= 1:
        value = 0.1 * z + (1.0 if key.endswith("weight") else 0.0)
    else:
        value = z / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))


class FullSize:
    """A file of a full-size network. Raises `ConfigError` for what is missing, not JSON, or lacks a key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        given = load_json(path)
        try:
            self.config: dict[str, Any] = given["config"]
            """Arguments of the authors' constructor."""
            self.seed: int = given["fill"]["seed"]
            self._rules = [Rule(*rule) for rule in given["fill"]["rules_regex_mean_std"]]
            self._fixed: set[str] = set(given["fill"]["not_filled"])
            self._manifest: str = given["manifest"]
        except KeyError as error:
            raise _not_filled(path, f"key {error} is missing") from error
        except TypeError as error:  # a list where an object belongs, a rule of two parts
            raise _not_filled(path, str(error)) from error

    @property
    def family(self) -> str:
        """Which replay the file is for: its name up to the first hyphen."""
        return self.path.stem.partition("-")[0]

    def state(self, fixed: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every weight of the official network under its official key.

        What the formula leaves out keeps its value in `fixed`, and is left out where that has none.
        """
        shapes = load_manifest(self._manifest_path()).keys
        filled = {
            key: fill(key, shape, self.seed, self._rules) for key, shape in shapes.items() if key not in self._fixed
        }
        return filled | {key: value for key, value in fixed.items() if key in self._fixed}

    def tensors(self) -> dict[str, Tensor]:
        """Inputs that no seed gives, and results."""
        path = self.path.with_suffix(".safetensors")
        if not path.is_file():
            raise ConfigError(f"{path}: no such file", hint=f"put the results beside {self.path.name}")
        return load_tensors(path)

    def generator(self) -> torch.Generator:
        """Of inputs that the seed gives."""
        return torch.Generator().manual_seed(self.seed)

    def _manifest_path(self) -> Path:
        """Where the file says, or the manifest of that name in a registry."""
        beside = self.path.parent / self._manifest
        folders = [folder / "manifests" for folder in data_folders("registry", None)]
        for path in [beside, *(folder / beside.name for folder in folders)]:
            if path.is_file():
                return path
        raise ConfigError(f"{self.path}: no manifest {beside.name}", hint=f"put it at {beside}")


def _not_filled(path: Path, what: str) -> ConfigError:
    return ConfigError(f"{path}: {what}", hint="name a file of a network filled by a formula")


def thinned(full: Tensor, like: Tensor) -> Tensor:
    """Every k-th value of each dimension, for the k that give the shape of `like`."""
    strides = [-(-long // short) for long, short in zip(full.shape, like.shape, strict=True)]
    return full[tuple(slice(None, None, stride) for stride in strides)]
