"""The offline Inception backbone as a file that torch-fidelity loads, so that it and genbench run one network."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from genbench.features.inception import Inception
from genbench.features.spaces import INCEPTION_BACKBONE
from genbench.paths import cache_folder
from genbench.weights import load_tensors, locate


def save_for_torch_fidelity(path: Path) -> None:
    """Write the backbone under torch-fidelity's names, its convolutions taken in order; the classifier is zero."""
    tensors = load_tensors(locate(INCEPTION_BACKBONE, cache=cache_folder(None)))
    with torch.device("meta"):
        names = [name for name, module in Inception(head=False).named_modules() if isinstance(module, nn.Conv2d)]
    old = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    state = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    for name, prefix in zip(names, old, strict=True):
        state[f"{name}.conv.weight"] = tensors[f"{prefix}.weight"]
        state[f"{name}.bn.weight"] = torch.ones_like(tensors[f"{prefix}.beta"])
        state[f"{name}.bn.bias"] = tensors[f"{prefix}.beta"]
        state[f"{name}.bn.running_mean"] = tensors[f"{prefix}.mean"]
        state[f"{name}.bn.running_var"] = tensors[f"{prefix}.var"]
    torch.save(state, path)
