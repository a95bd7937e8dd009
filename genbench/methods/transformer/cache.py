"""Keys and values of the tokens that a causal transformer has seen, so that none is computed twice."""

from __future__ import annotations

import torch
from torch import Tensor


class KeyValueCache:
    """One block's. Room for `length` tokens is taken when the first ones come, as large as they say."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._seen = 0
        self._store = torch.empty(0)

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (N, heads, T, width) of the next T tokens => those of all tokens so far."""
        if not self._seen:
            n, heads, _, width = k.shape
            self._store = k.new_empty(2, n, heads, self._length, width)
        end = self._seen + k.shape[2]
        self._store[0, :, :, self._seen : end] = k
        self._store[1, :, :, self._seen : end] = v
        self._seen = end
        return self._store[0, :, :, :end], self._store[1, :, :, :end]

    def keep(self, n: int) -> None:
        """Forget all but the first `n` images of the batch."""
        self._store = self._store[:, :n]
