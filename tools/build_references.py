"""Build the packaged reference statistics of emoji32's train split:  uv run python tools/build_references.py

One file a feature space in ``registry/references/emoji32-train/``: moments of all 3,404 images, and features of a fixed
subset of 1,000 for the metrics that compare pairs of images.
"""

from __future__ import annotations

from pathlib import Path

import torch

from genbench.features import spaces
from genbench.features.extractor import load_extractors
from genbench.images import emoji32
from genbench.metrics.reference import Reference
from genbench.paths import cache_folder

NAME = "emoji32-train"
SPACES = ("inception-tf", "effnet-lite0")
KEPT = 1000
BATCH = 64
FOLDER = Path(__file__).parent.parent / "registry" / "references" / NAME


def build(chosen: tuple[str, ...] = SPACES) -> dict[str, Reference]:
    """Reference statistics of the train split in each space."""
    images = torch.from_numpy(emoji32.load("train").images).permute(0, 3, 1, 2)
    wanted = [spaces.get(name) for name in chosen]
    extract = load_extractors(wanted, cache=cache_folder(None))
    parts = [extract(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    source = {"dataset": "emoji32", "split": "train", "archive_sha256": emoji32.SHA256}
    return {
        space.name: Reference.from_features(
            torch.cat([part[space.name] for part in parts]).numpy(),
            space=space.name,
            space_digest=space.digest,
            keep=KEPT,
            source=source,
        )
        for space in wanted
    }


if __name__ == "__main__":
    for name, reference in build().items():
        path = FOLDER / f"{name}.safetensors"
        reference.save(path)
        print(f"{path}: {reference.n} images, {reference.n_features} kept, {path.stat().st_size:,} bytes")
