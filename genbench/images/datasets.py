"""Data sets that genbench carries: their training labels, for the empirical label policy, and their images."""

from __future__ import annotations

from typing import cast, get_args

import numpy as np
import numpy.typing as npt

from genbench.images import emoji32


def training_labels(dataset: str) -> npt.NDArray[np.int64] | None:
    """Labels of the training images, (N,); none for a data set that genbench does not carry."""
    return emoji32.load("train").labels if dataset == "emoji32" else None


def split_images(dataset: str, split: str) -> npt.NDArray[np.uint8] | None:
    """Images of a split, (N, H, W, 3); none for a data set or a split that genbench does not carry."""
    if dataset != "emoji32" or split not in get_args(emoji32.Split):
        return None
    return emoji32.load(cast(emoji32.Split, split)).images
