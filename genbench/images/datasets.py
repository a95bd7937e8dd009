"""Data sets that genbench carries: their training labels, for the empirical label policy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genbench.images import emoji32


def training_labels(dataset: str) -> npt.NDArray[np.int64] | None:
    """Labels of the training images, (N,); none for a data set that genbench does not carry."""
    return emoji32.load("train").labels if dataset == "emoji32" else None
