"""Which tokens may be drawn: the top k, and the nucleus (Holtzman et al., arXiv:1904.09751)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def truncate(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Logits (..., K) with those that may not be drawn at -inf: first all below the k-th largest, ties of it kept;
    then the least probable ones whose mass together is at most 1 - `top_p`, never the most probable one.

    `top_k` 0 and `top_p` 1 leave all.
    """
    if top_k:
        least = logits.topk(top_k, dim=-1).values[..., -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    if top_p < 1:
        ascending, order = logits.sort(dim=-1)
        dropped = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
        dropped[..., -1] = False
        logits = logits.masked_fill(torch.zeros_like(dropped).scatter_(-1, order, dropped), -math.inf)
    return logits
