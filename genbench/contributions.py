"""Who moves the Fréchet distance: the contribution of each class, and the influence of each image.

The influence of an image is the first-order change of the distance, per unit of weight, when weight moves from all
images to that one (`genbench.metrics.frechet.FrechetDistance.influence`). Over the images it has mean 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from genbench.metrics.labels import Labels
from genbench.records import ContributionFacts

Influences = Mapping[str, npt.NDArray[np.float64]]
"""(N,) by metric, such as ``fd@inception-tf``."""


def class_contributions(influences: Influences, labels: Labels) -> tuple[ContributionFacts, ...]:
    """The contribution of each class that was generated to each Fréchet distance; see `ContributionFacts`."""
    classes = np.unique(labels.classes).tolist()
    return tuple(
        _contribution(metric, number, labels, influence[labels.classes == number])
        for metric, influence in influences.items()
        for number in classes
    )


def _contribution(metric: str, number: int, labels: Labels, of_class: npt.NDArray[np.float64]) -> ContributionFacts:
    n = len(of_class)
    return ContributionFacts(
        metric=metric,
        label=number,
        name=labels.name(number) if labels.names else None,
        n=n,
        contribution=float(of_class.mean()),
        stderr=float(of_class.std(ddof=1)) / n**0.5 if n > 1 else None,
    )


def influence_table(influences: Influences, images: npt.NDArray[np.int64], labels: Labels | None) -> bytes:
    """A Parquet file with a row an image: ``image``, ``class`` where classes are known, and a column a feature space.

    `images` (N,) are the seeds of sampled images, and the positions (from 0) of those that existed already. Columns
    are called after the space (``inception-tf``); their mean is 0.
    """
    import duckdb

    columns: dict[str, npt.NDArray[np.int64] | npt.NDArray[np.float64]] = {"image": images}
    if labels is not None:
        columns["class"] = labels.classes
    columns |= {metric.partition("@")[2]: influence for metric, influence in influences.items()}
    with duckdb.connect() as connection, TemporaryDirectory() as folder:
        path = Path(folder) / "influences.parquet"
        connection.register("influences", columns)
        connection.table("influences").write_parquet(str(path))
        return path.read_bytes()
