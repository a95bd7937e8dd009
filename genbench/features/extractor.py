"""From images to features: every network runs once, whatever number of spaces is read from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from genbench.errors import FeatureError, WeightsError
from genbench.features import effnet, encoders, haar, inception, openclip, vgg
from genbench.features.precision import computing, lower
from genbench.features.sketch import sketches
from genbench.features.space import Reduction, Space
from genbench.precision import Precision
from genbench.tokens.correlogram import correlograms
from genbench.tokens.layout import layouts
from genbench.weights import Located, WeightFile, find, locate


class Extractor(Protocol):
    """A feature network with its preprocessing. An image's features do not depend on the rest of the batch."""

    @property
    def network(self) -> nn.Module | None:
        """What may be computed in lower precision; None where nothing may."""
        ...

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """uint8 (N, 3, H, W) => float32 {layer: (N, *shape)}, only the layers that it was loaded for."""
        ...


Loader = Callable[[Sequence[Located], Collection[str], torch.device | str], Extractor]
"""Files of weights where they lie, the layers to read, and the device, to an extractor."""


def _from_one_file(load: Callable[[WeightFile, Path, Collection[str], torch.device | str], Extractor]) -> Loader:
    def loader(files: Sequence[Located], layers: Collection[str], device: torch.device | str) -> Extractor:
        ((file, path),) = files
        return load(file, path, layers, device)

    return loader


LOADERS: Mapping[str, Loader] = MappingProxyType(
    {
        name: _from_one_file(partial(inception.load, prepare=prepare))
        for name, prepare in inception.PREPROCESSING.items()
    }
    | {
        "effnet-lite0": _from_one_file(effnet.load),
        "pixels": lambda _files, _layers, _device: haar.HaarExtractor(),
        "vgg16-lpips": vgg.load,
    }
    | {name: partial(encoders.load, name) for name in encoders.ENCODERS}
)
"""Extractor names to what loads them; open_clip's are made from their names."""


REDUCTIONS: Mapping[Reduction, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"correlogram": correlograms, "layout": layouts, "sketch": sketches}
)
"""What is kept of a layer, by name: of tokens (N, T, D) float64 (N, width), of features (N, D) float32 sketches."""

CPU_BLOCK = 16
"""Images that go through a network at once on a CPU: faster than more (activations stay nearer), and bounds memory."""


class Reading(NamedTuple):
    """One network, which of its layers is which space, and how exactly it computes."""

    extractor: Extractor
    spaces: tuple[Space, ...]
    precision: Precision = "exact"


class Extractors:
    """Several feature spaces, read from as few networks as carry them.

    Exact spaces run in strict float32: TF32 is off inside the call, and the process's settings are as before after
    it. Rounding is all that batch size and device change: less than 1e-5 of the largest feature. Fast spaces run
    their network in bfloat16, which moves features by one to four percent of their norm.
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
        if not len(images):
            return {space.name: torch.empty(0, *space.shape, device=self._device) for space in self.spaces}
        features: dict[str, Tensor] = {}
        block = CPU_BLOCK if self._device.type == "cpu" else max(len(images), 1)
        with torch.inference_mode():
            for extractor, spaces, precision in self._readings:
                with computing(precision, self._device):
                    blocks = [_read(extractor, spaces, part.to(self._device)) for part in torch.split(images, block)]
                features |= {space.name: torch.cat([read[space.name] for read in blocks]) for space in spaces}
        return features

    @property
    def spaces(self) -> tuple[Space, ...]:
        """What is read, each with the precision that it is read in; their digests name the features."""
        return tuple(space for reading in self._readings for space in reading.spaces)


def _read(extractor: Extractor, spaces: Sequence[Space], images: Tensor) -> dict[str, Tensor]:
    layers = extractor(images)
    return {
        space.name: REDUCTIONS[space.reduction](layers[space.layer]).float() if space.reduction else layers[space.layer]
        for space in spaces
    }


def load_extractors(
    spaces: Sequence[Space],
    *,
    device: torch.device | str = "cpu",
    cache: Path,
    extra_dirs: Sequence[Path] = (),
    offline: bool | None = None,
    precision: Precision | None = None,
) -> Extractors:
    """A function from images to the features of all `spaces`, keyed by space name, weights located and loaded.

    `precision` reads all of them so; None leaves each as it is. Shards are named by the digests of
    `Extractors.spaces`, or of ``space.at(precision)``, so that fast features are never taken for exact ones.

    Raises `WeightsError` if weights are missing or altered, `FeatureError` if a space needs a part of the network that
    no file on this machine has, and for a space that is read from pairs of images.
    """
    for space in spaces:
        if space.paired:
            raise FeatureError(
                f"{space.name} is read from an image together with its original",
                hint="`genbench score IMAGES --originals ORIGINALS` compares pairs",
            )
    if precision is not None:
        spaces = [space.at(precision) for space in spaces]
    readings = []
    for name, mode in dict.fromkeys((space.extractor, space.precision) for space in spaces):
        members = tuple(space for space in spaces if (space.extractor, space.precision) == (name, mode))
        files = _files_for(members, cache=cache, extra_dirs=extra_dirs, offline=offline)
        extractor = _loader(name)(files, {space.layer for space in members}, device)
        if mode == "fast" and extractor.network is not None:
            lower(extractor.network)
        readings.append(Reading(extractor, members, mode if extractor.network is not None else "exact"))
    return Extractors(readings, device)


def _loader(extractor: str) -> Loader:
    return partial(openclip.load, extractor) if extractor.startswith(openclip.PREFIX) else LOADERS[extractor]


def _files_for(
    spaces: Sequence[Space], *, cache: Path, extra_dirs: Sequence[Path], offline: bool | None
) -> list[Located]:
    """Where the files of one network lie: the one with the network first, then what it needs besides."""
    first = spaces[0]
    if first.weights is None:
        return []
    main = _network_for(spaces, first.weights, cache=cache, extra_dirs=extra_dirs, offline=offline)
    further = [Located(f, locate(f, cache=cache, extra_dirs=extra_dirs, offline=offline)) for f in first.further]
    return [main, *further]


def _network_for(
    spaces: Sequence[Space], weights: WeightFile, *, cache: Path, extra_dirs: Sequence[Path], offline: bool | None
) -> Located:
    """A file that serves all `spaces`: one that is here if there is one, else the first fetched."""
    accepted = [
        file
        for file in (weights, *spaces[0].equivalents)
        if all(file in (space.weights, *space.equivalents) for space in spaces)
    ]
    for file in accepted:
        if path := find(file, cache=cache, extra_dirs=extra_dirs):
            return Located(file, path)
    try:
        return Located(accepted[0], locate(accepted[0], cache=cache, extra_dirs=extra_dirs, offline=offline))
    except WeightsError as error:
        for space in spaces:
            if space.extractor == "inception-tf" and space.layer == "logits":
                raise inception.no_head(hint=error.hint) from error
        raise
