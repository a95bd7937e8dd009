"""Suites: a protocol as a TOML file: data set, reference, number of images, seeds, label policy, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from genbench.cards import Name
from genbench.errors import ConfigError, UsageError, unknown
from genbench.paths import first_of_each
from genbench.schema import Strict, check_typed, read_toml

LabelPolicy = Literal["balanced", "uniform", "empirical"]

BLOCK_STRIDE = 1_000_000
"""Distance between the first seeds of two seed blocks, and so the largest number of images in one."""


Crop = Literal["none", "adm"]
"""How stored images are brought to a suite's resolution: not at all, or by ADM's resizing and cropping."""


class Gate(Strict):
    """What `genbench check` holds against a baseline, and how much worse it may get.

    A gate fails when a value is worse for certain, and by more than both `factor` and `margin` allow.
    """

    metric: str
    """A metric, or ``seconds_per_image``, which is compared on like hardware only."""
    factor: float = Field(default=1.05, ge=1)
    """How many times as large (or as small) a value may become."""
    margin: float = Field(default=0.0, ge=0)
    """By how much, in the metric's unit, it may differ whatever the factor: for metrics near 0."""
    runs: str = "*"
    """Glob over ``variant@preset`` and scored paths."""


class _Common(Strict):
    """What every kind of suite says.

    All of it, and what it names, is in the suite's digest, but `title`, `runs` and `gates`.
    """

    id: Name
    """The name of the file."""
    title: str
    """In words."""
    dataset: str
    """What the images are held against, as cards name it."""
    resolution: int = Field(gt=0)
    """Side of the images, pixels; images of another size are refused."""
    metrics: tuple[str, ...] = Field(min_length=1)
    """Short names, or ``statistic@space``."""


class Suite(_Common):
    """A protocol for generative models."""

    reference: str | None = None
    """Name of the reference statistics; none where every metric compares images with prompts."""
    held_out: str | None = None
    """Name of the statistics of real images that the reference does not hold, for metrics such as FLD and C_T."""
    prompts: str | None = None
    """What images are made from, for CLIP score: a file in a registry's ``prompts``, in the order of seeds or by the
    name of the image, or a template with ``{class}``."""
    images: int = Field(gt=1, le=BLOCK_STRIDE)
    """Images in a seed block."""
    blocks: int = Field(default=1, gt=0, le=1000)
    """Seed blocks; each is measured on its own."""
    first_seed: int = Field(default=0, ge=0, le=2**62)
    """Seed of image 0 of block 0; block b starts at ``first_seed + b * BLOCK_STRIDE``."""
    labels: LabelPolicy
    """Classes of the seeds: in turn, each drawn with equal chance, or as the training images have them."""
    runs: tuple[str, ...] = Field(min_length=1)
    """Globs over ``variant@preset`` that a bare ``genbench run`` of this suite means."""
    gates: tuple[Gate, ...] = ()
    """What `genbench check` asks of this suite's results; in no digest."""

    def seeds(self, block: int) -> range:
        """The seeds of one block."""
        first = self.first_seed + block * BLOCK_STRIDE
        return range(first, first + self.images)


class ReconstructionSuite(_Common):
    """A protocol for autoencoders: real images, encoded and decoded, against themselves."""

    kind: Literal["reconstruction"]
    """Tells it from a suite for generative models."""
    crop: Crop
    """Of the originals."""
    images: int = Field(gt=1)
    """The first so many originals, in their order."""
    runs: tuple[str, ...] = Field(min_length=1)
    """Globs over decoders that a bare ``genbench reconstruct`` of this suite means."""


def load_suite(path: Path) -> Suite | ReconstructionSuite:
    """Read one suite of either kind.

    Raises `ConfigError` naming the file and the key, also when the file is not called after the suite's id.
    """
    data = read_toml(path)
    suite: Suite | ReconstructionSuite = (
        check_typed(ReconstructionSuite, data, str(path)) if "kind" in data else check_typed(Suite, data, str(path))
    )
    if suite.id != path.stem:
        raise ConfigError(
            f"{path}: id is {suite.id!r}, the file is called {path.name!r}",
            hint=f"rename the file to {suite.id}.toml",
        )
    return suite


def suite_files(folders: Sequence[Path]) -> dict[str, Path]:
    """The file of each suite id, from the first folder that has it."""
    return first_of_each(folders, "*.toml")


def find_suite(name: str, folders: Sequence[Path]) -> Suite:
    """The suite for generative models of that id, or of that file if `name` ends in ``.toml``.

    Raises `UsageError` with the nearest names when there is none, and for a suite of reconstructions.
    """
    found = find_any_suite(name, folders)
    if isinstance(found, ReconstructionSuite):
        raise UsageError(
            f"suite {found.id} is of reconstructions, not of generated images",
            hint=f"genbench reconstruct {name} ORIGINALS",
        )
    return found


def find_reconstruction_suite(name: str, folders: Sequence[Path]) -> ReconstructionSuite:
    """The suite of reconstructions of that id, or of that file if `name` ends in ``.toml``.

    Raises `UsageError` with the nearest names when there is none, and for a suite for generative models.
    """
    found = find_any_suite(name, folders)
    if isinstance(found, Suite):
        raise UsageError(
            f"suite {found.id} is of generated images, not of reconstructions", hint=f"genbench run {name}"
        )
    return found


def find_any_suite(name: str, folders: Sequence[Path]) -> Suite | ReconstructionSuite:
    """The suite of that id, or of that file if `name` ends in ``.toml``, of either kind.

    Raises `UsageError` with the nearest names when there is none.
    """
    if name.endswith(".toml"):
        return load_suite(Path(name))
    files = suite_files(folders)
    if name not in files:
        raise unknown("suite", name, files, lister="genbench list suites")
    return load_suite(files[name])
