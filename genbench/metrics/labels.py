"""The classes of a set of images, and how those of two sets are matched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.errors import FeatureError

Classes = npt.NDArray[np.int64]


class Labels(NamedTuple):
    """The class of each image of a set."""

    classes: Classes
    """(N,) class numbers, from 0."""
    names: tuple[str, ...] | None = None
    """``names[c]`` is the name of class c; None where classes have numbers only."""

    @classmethod
    def of_folders(cls, folders: Sequence[str]) -> Labels:
        """Labels of images that lie in one folder a class.

        Folders that are all whole numbers are the class numbers; others are names, numbered in alphabetical order.
        """
        if all(folder.isascii() and folder.isdigit() for folder in folders):
            return cls(np.array([int(folder) for folder in folders], np.int64))
        names, classes = np.unique(np.array(folders), return_inverse=True)
        return cls(classes.astype(np.int64).reshape(-1), tuple(names.tolist()))

    def name(self, number: int) -> str:
        """What people call class `number`; the number itself where it has no name."""
        return self.names[number] if self.names and number < len(self.names) else str(number)

    def of(self, rows: npt.NDArray[np.int64] | slice) -> Labels:
        """The labels of some of the images."""
        return Labels(self.classes[rows], self.names)

    def numbered_as(self, other: Labels) -> Labels:
        """The same classes under the numbers of `other`: by name where both sides have names, else by number.

        Names that `other` lacks come after its own. Raises `FeatureError` for a class that has no name where others do.
        """
        if self.names is None or other.names is None:
            return Labels(self.classes, other.names or self.names)
        if (self.classes >= len(self.names)).any():
            raise FeatureError(
                f"class {self.classes.max()} has no name, as there are {len(self.names)} names",
                hint="give every class a name, or none",
            )
        names = (*other.names, *(name for name in self.names if name not in other.names))
        numbers = np.array([names.index(name) for name in self.names], np.int64)
        return Labels(numbers[self.classes], names)

    def check(self, n: int, what: str) -> None:
        """Raise `FeatureError` unless these are `n` class numbers; `what` says of which images."""
        classes = self.classes
        if classes.shape != (n,) or not np.issubdtype(classes.dtype, np.integer) or (classes < 0).any():
            raise FeatureError(
                f"{what} labels: expected {n} class numbers from 0, got {classes.dtype} of shape {classes.shape}",
                hint="give one class number an image, in the order of the images",
            )
