"""Tables of vectors by index."""

from __future__ import annotations

import torch
from torch import nn


def lookup_table(rows: int, width: int) -> nn.Embedding:
    """A table of `rows` vectors, standard normal."""
    table = torch.empty(rows, width)
    if not table.is_meta:  # drawing on the meta device would import torch's compiler: seconds, for nothing
        nn.init.normal_(table)
    return nn.Embedding(rows, width, _weight=table)
