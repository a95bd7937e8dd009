"""Batches that fit the accelerator's memory: halved when it runs out, and from then on no larger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import torch

from genbench import console
from genbench.errors import RunFailedError

R = TypeVar("R")


class Halving(Generic[R]):
    """A function of a batch, called on as large parts of it as memory holds.

    Results do not depend on the parts where the function gives an image the same result in any batch, as samplers and
    feature networks of genbench do up to rounding.
    """

    def __init__(self, function: Callable[..., R], what: str) -> None:
        self._function, self._what = function, what
        self._largest: int | None = None

    def __call__(self, *batches: Sequence[object] | torch.Tensor) -> list[R]:
        """What the function returns for each part, in order; `batches` are of one length and divided alike.

        Raises `RunFailedError` when memory does not hold a single image.
        """
        length, first = len(batches[0]), 0
        results = []
        while first < length:
            size = min(self._largest or length, length - first)
            try:
                results.append(self._function(*(batch[first : first + size] for batch in batches)))
            except torch.OutOfMemoryError as error:
                self._shrink(size, error)
            else:
                first += size
        return results

    def _shrink(self, size: int, error: torch.OutOfMemoryError) -> None:
        if size == 1:
            raise RunFailedError(
                f"{self._what}: the device's memory does not hold one image ({_first_line(error)})",
                hint="free memory on the device, or name another one with --device; finished shards are kept",
            ) from error
        self._largest = size // 2
        console.warn(f"{self._what}: out of memory with {size} images at once, going on with {self._largest}")
        torch.cuda.empty_cache()


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
