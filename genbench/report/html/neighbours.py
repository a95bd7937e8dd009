"""The training images that are nearest to some generated ones, in a feature space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.errors import FeatureError
from genbench.features import spaces
from genbench.images.datasets import split_images
from genbench.metrics.neighbours import nearest
from genbench.metrics.reference import Reference
from genbench.references import Shelf
from genbench.report.figures.canvas import Record
from genbench.report.html.settings import Settings
from genbench.shards import ShardCache, space_folder, split


class Neighbour(NamedTuple):
    """One training image."""

    place: int
    """In the training set, from 0."""
    distance: float
    """In the feature space."""
    image: npt.NDArray[np.uint8] | None
    """(H, W, 3); None for a data set that genbench does not carry."""


class Training(NamedTuple):
    """What a record's images were compared with."""

    reference: Reference

    def class_name(self, label: int) -> str:
        """What people call a class."""
        return self.reference.labels.name(label) if self.reference.labels else f"class {label}"

    def nearest(self, features: npt.NDArray[np.float32], device: str) -> list[Neighbour]:
        """Of each of the features (n, d), among the training images whose features the reference keeps.

        Raises `FeatureError` for a reference that keeps moments only.
        """
        kept, indices = self.reference.features, self.reference.indices
        if kept is None or indices is None:
            raise FeatureError(
                f"the {self.reference.space} reference keeps no features, so training images cannot be compared with",
                hint="build it from images",
            )
        source = self.reference.source
        images = split_images(source.get("dataset", ""), source.get("split", ""))
        found = nearest(features, 1, among=kept, device=device)
        return [
            Neighbour(int(indices[row]), float(square) ** 0.5, None if images is None else images[indices[row]])
            for row, square in zip(found.indices[:, 0], found.squares[:, 0], strict=True)
        ]


def training(row: Record, settings: Settings) -> Training:
    """The reference of a record, ``reference, reference_sha256, space`` of it.

    Raises `FeatureError` where the reference of that name is not the one that the record was measured against, and
    what finding and reading it raise.
    """
    space = spaces.get(row["space"])
    found = Shelf(settings.registry, settings.cache, settings.device).load(row["reference"], {space.name: space})
    if found.facts.sha256[space.name] != row["reference_sha256"][space.name]:
        raise FeatureError(
            f"reference {row['reference']} in {space.name} is no longer what was measured against",
            hint="measure it again",
        )
    return Training(found.by_space[space.name])


def kept_features(row: Record, seeds: Sequence[int], settings: Settings) -> npt.NDArray[np.float32]:
    """(n, d): features of a record's images by seed, from the cache.

    `row` has ``images_digest, first_seed, n, space, space_digest``. Raises `FeatureError` where they are not there.
    """
    cache, folder = ShardCache(settings.cache), space_folder(row["space"], row["space_digest"])
    shards = {shard: cache.has(row["images_digest"], folder, shard) for shard in split(row["first_seed"], row["n"])}
    wanted = [next(s for s in shards if s.first <= seed < s.first + s.size) for seed in seeds]
    if not all(shards[shard] for shard in wanted):
        raise FeatureError(
            f"features in {row['space']} are not in the cache", hint="measure it again, or name the cache with --cache"
        )
    arrays = {shard: cache.read(row["images_digest"], folder, shard) for shard in dict.fromkeys(wanted)}
    return np.stack([arrays[shard][seed - shard.first].ravel() for shard, seed in zip(wanted, seeds, strict=True)])
