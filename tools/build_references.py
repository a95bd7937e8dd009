"""Build the packaged reference statistics of emoji32:  uv run python tools/build_references.py

One file a split and feature space in ``registry/references/emoji32-<split>/``: moments of all images (3,404 of train,
377 of test, which is the held-out side), and features with classes of a fixed subset of 1,000 for the metrics that
compare pairs of images.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import torch

from genbench.features import spaces
from genbench.features.extractor import load_extractors
from genbench.images import emoji32
from genbench.metrics.labels import Labels
from genbench.metrics.reference import Reference
from genbench.paths import cache_folder
from genbench.references import reference_file

SPACES = ("inception-tf", "effnet-lite0", "effnet-lite0/correlogram")
KEPT = 1000
BATCH = 64
FOLDER = Path(__file__).parent.parent / "registry"


def build(split: emoji32.Split, chosen: tuple[str, ...] = SPACES) -> dict[str, Reference]:
    """Reference statistics of a split in each space."""
    data = emoji32.load(split)
    images = torch.from_numpy(data.images).permute(0, 3, 1, 2)
    wanted = [spaces.get(name) for name in chosen]
    extract = load_extractors(wanted, cache=cache_folder(None))
    parts = [extract(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    source = {"dataset": "emoji32", "split": split, "archive_sha256": emoji32.SHA256}
    return {
        space.name: Reference.from_features(
            torch.cat([part[space.name] for part in parts]).numpy(),
            space=space.name,
            space_digest=space.digest,
            keep=KEPT,
            labels=Labels(data.labels, emoji32.CLASSES),
            source=source,
        )
        for space in wanted
    }


if __name__ == "__main__":
    for split in get_args(emoji32.Split):
        for name, reference in build(split).items():
            path = FOLDER / reference_file(f"emoji32-{split}", name)
            reference.save(path)
            print(f"{path}: {reference.n} images, {reference.n_features} kept, {path.stat().st_size:,} bytes")
