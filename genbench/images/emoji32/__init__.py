"""emoji32, the embedded data set: 3,781 Noto emoji, 32x32 RGB uint8, nine classes, train and test split.

Built by ``tools/build_emoji32.py`` from the npm package ``emoji-datasource-google@16.0.0``; the pictures are Noto
emoji, Apache-2.0 (see ``LICENSE.emoji32`` and ``ATTRIBUTION.md`` beside this file).
"""

from __future__ import annotations

import csv
import io
import zipfile
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from genbench.digest import digest_bytes
from genbench.errors import WeightsError

ARCHIVE = Path(__file__).with_name("emoji32.zip")
SHA256 = "b733b325bfd4cfbbc72cdc94c0877bcb2704a011e4cab65638ea7364ed44e691"
SIDE = 32
CLASSES = (
    "Activities",
    "Animals & Nature",
    "Flags",
    "Food & Drink",
    "Objects",
    "People & Body",
    "Smileys & Emotion",
    "Symbols",
    "Travel & Places",
)
"""Class names in label order (alphabetical)."""

Split = Literal["train", "test"]


class Emoji32(NamedTuple):
    """One split, in the order of the Unicode emoji list."""

    images: npt.NDArray[np.uint8]
    """(N, 32, 32, 3) RGB."""
    labels: npt.NDArray[np.int64]
    """(N,) indices into `CLASSES`."""
    subcategories: tuple[str, ...]
    names: tuple[str, ...]
    bases: tuple[str, ...]
    """Code points of the emoji that each image is (a skin tone of); a base never stands in both splits."""


@cache
def _archive(path: Path) -> tuple[npt.NDArray[np.uint8], list[dict[str, str]]]:
    data = path.read_bytes()
    if digest_bytes(data) != SHA256:
        raise WeightsError(
            f"{path}: the embedded data set is not the published one (sha256 {digest_bytes(data)}, expected {SHA256})",
            hint="reinstall genbench; nothing can be measured against altered reference data",
        )
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("labels.csv").decode())))
        with Image.open(io.BytesIO(archive.read("sheet.webp"))) as sheet:
            pixels = np.asarray(sheet.convert("RGB"))
    down, across = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    tiles = pixels.reshape(down, SIDE, across, SIDE, 3).swapaxes(1, 2).reshape(-1, SIDE, SIDE, 3)
    images = np.ascontiguousarray(tiles[: len(rows)])
    images.setflags(write=False)
    return images, rows


def load(split: Split) -> Emoji32:
    """The train (3,404 images) or test (377 images) split.

    Raises `WeightsError` if the packaged archive's SHA-256 is not the published one.
    """
    images, rows = _archive(ARCHIVE)
    keep = [i for i, row in enumerate(rows) if row["split"] == split]
    chosen = [rows[i] for i in keep]
    return Emoji32(
        images=images[keep],
        labels=np.array([CLASSES.index(row["category"]) for row in chosen], np.int64),
        subcategories=tuple(row["subcategory"] for row in chosen),
        names=tuple(row["name"] for row in chosen),
        bases=tuple(row["base"] for row in chosen),
    )
