"""Suites: a protocol as a TOML file: data set, reference, number of images, seeds, label policy, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from genbench.cards import Name
from genbench.errors import ConfigError, unknown
from genbench.schema import Strict, load_toml

LabelPolicy = Literal["balanced", "uniform", "empirical"]

BLOCK_STRIDE = 1_000_000
"""Distance between the first seeds of two seed blocks, and so the largest number of images in one."""


class Suite(Strict):
    """One protocol. Everything here, and what it names, is covered by the suite's digest but `title` and `runs`."""

    id: Name
    title: str
    dataset: str
    resolution: int = Field(gt=0)
    """Side of the images, pixels; images of another size are refused."""
    reference: str
    """Name of the reference statistics."""
    held_out: str | None = None
    """Name of the statistics of real images that the reference does not hold, for metrics such as FLD and C_T."""
    prompts: str | None = None
    """What images are made from, for CLIP score: a file in a registry's ``prompts``, in the order of seeds or by the name
    of the image, or a template with ``{class}``."""
    images: int = Field(gt=1, le=BLOCK_STRIDE)
    """Images in a seed block."""
    blocks: int = Field(default=1, gt=0)
    """Seed blocks; each is measured on its own."""
    first_seed: int = Field(default=0, ge=0)
    """Seed of image 0 of block 0; block b starts at ``first_seed + b * BLOCK_STRIDE``."""
    labels: LabelPolicy
    metrics: tuple[str, ...] = Field(min_length=1)
    runs: tuple[str, ...] = Field(min_length=1)
    """Globs over ``variant@preset`` that a bare ``genbench run`` of this suite means."""

    def seeds(self, block: int) -> range:
        """The seeds of one block."""
        first = self.first_seed + block * BLOCK_STRIDE
        return range(first, first + self.images)


def load_suite(path: Path) -> Suite:
    """Read one suite.

    Raises `ConfigError` naming the file and the key, also when the file is not called after the suite's id.
    """
    suite = load_toml(Suite, path)
    if suite.id != path.stem:
        raise ConfigError(
            f"{path}: id is {suite.id!r}, the file is called {path.name!r}",
            hint=f"rename the file to {suite.id}.toml",
        )
    return suite


def suite_files(folders: Sequence[Path]) -> dict[str, Path]:
    """The file of each suite id, from the first folder that has it."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def find_suite(name: str, folders: Sequence[Path]) -> Suite:
    """The suite of that id, or of that file if `name` ends in ``.toml``.

    Raises `UsageError` with the nearest names when there is none.
    """
    if name.endswith(".toml"):
        return load_suite(Path(name))
    files = suite_files(folders)
    if name not in files:
        raise unknown("suite", name, files, lister="genbench list suites")
    return load_suite(files[name])
