"""Which image of one source belongs to which of another: the one at the same place, seen to have the same name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from genbench.errors import UsageError


def check_names(names: Sequence[str], others: Sequence[str], *, where: str, what: str) -> None:
    """Check two sources' images, in order, for the same names; suffixes may differ, and rows of arrays have none.

    Raises `UsageError` that names the first of `others` (of source `where`, called `what`) that is another image's.
    """
    for name, other in zip(names, others, strict=True):
        if _is_file(name) and _is_file(other) and _stem(name) != _stem(other):
            raise UsageError(
                f"{where}: {what} {other} stands where image {name} has its own",
                hint=f"call each {what} as its image; the suffix may differ",
            )


def _is_file(name: str) -> bool:
    return not name.endswith("]")  # arr_0[17], a row of an array


def _stem(name: str) -> PurePosixPath:
    return PurePosixPath(name).with_suffix("")
