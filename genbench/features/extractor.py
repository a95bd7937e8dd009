"""From images to features: every network runs once, whatever number of spaces is read from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from genbench.errors import FeatureError, WeightsError
from genbench.features import effnet, inception
from genbench.features.spaces import Space
from genbench.weights import WeightFile, find, locate


class Extractor(Protocol):
    """A feature network with its preprocessing. An image's features do not depend on the rest of the batch."""

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => float32 {layer: (N, *shape)}, only the layers that it was loaded for."""
        ...


Loader = Callable[[WeightFile, Path, Collection[str], torch.device | str], Extractor]

LOADERS: Mapping[str, Loader] = MappingProxyType(
    {name: partial(inception.load, prepare=prepare) for name, prepare in inception.PREPROCESSING.items()}
    | {"effnet-lite0": effnet.load}
)
"""Extractor names to what loads them."""


CPU_BLOCK = 16
"""Images that go through a network at once on a CPU: faster than more (activations stay nearer), and bounds memory."""


class Reading(NamedTuple):
    """One network, and which of its layers is which space."""

    extractor: Extractor
    spaces: tuple[Space, ...]


class Extractors:
    """Several feature spaces, read from as few networks as carry them.

    Runs in strict float32: TF32 is off inside the call, and the process's settings are as before after it. Rounding
    is all that batch size and device change: less than 1e-5 of the largest feature.
    """

    def __init__(self, readings: Sequence[Reading], device: torch.device | str) -> None:
        self._readings, self._device = tuple(readings), torch.device(device)

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) on any device => float32 {space name: (N, *shape)} on the extractors' device.

        Raises `FeatureError` if the images are not uint8 RGB in this layout.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
            raise FeatureError(
                f"features are taken from uint8 images (N, 3, H, W), not {images.dtype} {tuple(images.shape)}",
                hint="quantise floats by the rule of the method's card, and permute NHWC to NCHW",
            )
        features: dict[str, Tensor] = {}
        block = CPU_BLOCK if self._device.type == "cpu" else max(len(images), 1)
        with torch.inference_mode(), strict_float32():
            for extractor, spaces in self._readings:
                blocks = [extractor(part.to(self._device)) for part in torch.split(images, block)]
                for space in spaces:
                    features[space.name] = torch.cat([layers[space.layer] for layers in blocks])
        return features


def load_extractors(
    spaces: Sequence[Space],
    *,
    device: torch.device | str = "cpu",
    cache: Path,
    extra_dirs: Sequence[Path] = (),
    offline: bool | None = None,
) -> Extractors:
    """A function from images to the features of all `spaces`, keyed by space name, weights located and loaded.

    Raises `WeightsError` if weights are missing or altered, `FeatureError` if a space needs a part of the network that
    no file on this machine has.
    """
    readings = []
    for name in dict.fromkeys(space.extractor for space in spaces):
        members = tuple(space for space in spaces if space.extractor == name)
        file, path = _weights_for(members, cache=cache, extra_dirs=extra_dirs, offline=offline)
        extractor = LOADERS[name](file, path, {space.layer for space in members}, device)
        readings.append(Reading(extractor, members))
    return Extractors(readings, device)


def _weights_for(
    spaces: Sequence[Space], *, cache: Path, extra_dirs: Sequence[Path], offline: bool | None
) -> tuple[WeightFile, Path]:
    """A file that serves all `spaces`, and where it lies: one that is here if there is one, else the first fetched."""
    accepted = [
        file
        for file in (spaces[0].weights, *spaces[0].equivalents)
        if all(file in (space.weights, *space.equivalents) for space in spaces)
    ]
    for file in accepted:
        if path := find(file, cache=cache, extra_dirs=extra_dirs):
            return file, path
    try:
        return accepted[0], locate(accepted[0], cache=cache, extra_dirs=extra_dirs, offline=offline)
    except WeightsError as error:
        for space in spaces:
            if space.extractor == "inception-tf" and space.layer == "logits":
                raise inception.no_head(hint=error.hint) from error
        raise


@contextmanager
def strict_float32() -> Iterator[None]:
    """Full float32 and repeatable convolutions on every device, where a GPU's defaults are TF32 and the fastest."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        cudnn = torch.backends.cudnn
        with cudnn.flags(enabled=cudnn.enabled, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(precision)
