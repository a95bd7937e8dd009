"""Spatial structure, from images to numbers: of an encoder on some images, and of images against other images.

    images = describe(token_space("effnet-lite0/tokens"), Path("photos"), settings)
    structure(images)                 # LDS, CDS, RMSC: properties of the encoder on these images
    distances(images, others)         # SSW, CFD, LSD: how far the images are from others

Correlograms and layouts are kept, 151 numbers an image of a 16x16 grid; tokens only where masks ask for them, and of
these one shard is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from genbench import console
from genbench.digest import digest
from genbench.engine.inputs import StoredImages
from genbench.errors import UsageError, unknown
from genbench.evaluation import Extraction, Features, Subject, gather, plan_subject
from genbench.features import spaces
from genbench.features.encoders import frame_masks
from genbench.features.spaces import Space
from genbench.features.token_spaces import reduced
from genbench.images.pairing import check_names
from genbench.images.preflight import ShardFacts, preflight
from genbench.images.sources import ImageSource, open_source
from genbench.metrics.inputs import Float64
from genbench.metrics.spatial.distances import (
    Distance,
    correlogram_frechet,
    layout_kernel,
    spatial_wasserstein,
    statistics,
)
from genbench.metrics.spatial.foreground import Bools, balanced, patch_masks, srss
from genbench.metrics.spatial.structure import PRESETS, mean_over_images
from genbench.shards import Shard, ShardCache, split
from genbench.tokens.grid import Grid, square_grid
from genbench.tokens.layout import averaged_with_mirror


@dataclass(frozen=True)
class Settings:
    """How tokens are made and described; only `preset`, `mirrored` and `limit` change a number."""

    cache: Path
    device: str = "cpu"
    batch_size: int = 64
    workers: int | None = None
    limit: int | None = None
    """Take only the first so many images."""
    preset: str = "code"
    """One of `metrics.spatial.structure.PRESETS`; with masks it decides too of which images `structure` is."""
    mirrored: bool = False
    """Average each layout with its mirror image, for data sets that are trained on with random flips."""


class Description(NamedTuple):
    """What is kept of a set of images."""

    space: Space
    grid: Grid
    settings: Settings
    correlograms: Float64
    """(N, H + W - 1)."""
    layouts: Float64
    """(N, 120)."""
    srss: Float64 | None
    """(N,), NaN where an image's mask leaves it undefined; None without masks."""
    chosen: Bools | None
    """(N,): whose structure counts, in preset ``code``: the images with `balanced` masks; None for all images."""


class SpatialValue(NamedTuple):
    """One row of the table."""

    metric: str
    value: float | None
    """None for SRSS without masks."""
    stderr: float | None
    n: int
    """Images that have a value."""
    n_reference: int | None = None
    floor: float | None = None
    """Distances: what as many images of the reference's own distribution would give."""


class Lag(NamedTuple):
    """One point of the mean correlogram."""

    distance: int
    """Manhattan, in tokens."""
    pairs: int
    """Ordered pairs of tokens so far apart, in one image."""
    value: float
    stderr: float | None
    n: int


def token_space(name: str) -> Space:
    """The space of that name, whose features are tokens on a square grid.

    Raises `UsageError` for an unknown space and for one without tokens, `FeatureError` for a grid that is not square.
    """
    known = [space.name for space in spaces.SPACES.values() if _gives_tokens(space)]
    if name not in spaces.SPACES:
        raise unknown("token space", name, known)
    space = spaces.get(name)
    if not _gives_tokens(space):
        raise UsageError(
            f"{name} gives one vector an image, and spatial structure is one of tokens",
            hint=f"spaces of tokens: {', '.join(known)}",
        )
    square_grid(space.shape[0])
    return space


def _gives_tokens(space: Space) -> bool:
    return space.layer == "tokens" and space.reduction is None


def describe(space: Space, images: Path, settings: Settings, *, masks: Path | None = None) -> Description:
    """Correlogram and layout of every image at `images`, and SRSS with `masks`: one for each, bright on the object.

    Masks are matched by order, and by name where both sides have file names; each is of its image's size, and cropped
    as the space crops that. Raises `UsageError` for masks that do not match, `ImageError` for files that cannot be
    read, and `FeatureError` for tokens that are not finite.
    """
    source = open_source(images, workers=settings.workers)
    mask_source = None if masks is None else open_source(masks, workers=settings.workers)
    if mask_source is not None and len(mask_source) != len(source):
        raise UsageError(
            f"{masks}: {len(mask_source)} masks for {len(source)} images", hint="give one mask for each image"
        )
    grid = square_grid(space.shape[0])
    kept = reduced(space)
    parts: dict[str, list[npt.NDArray[np.float32]]] = {one.name: [] for one in kept}
    contrast: list[Float64] = []
    fair: list[Bools] = []
    facts: list[ShardFacts] = []
    for shard, features in _features(kept if mask_source is None else (*kept, space), source, settings):
        for one in kept:
            parts[one.name].append(features.by_space[one.name])
        known = [ShardFacts.from_json(found["preflight"]) for found in features.facts]
        facts += known
        if mask_source is not None:
            tokens = features.by_space[space.name].reshape(shard.size, *space.shape)
            patches = _masks(mask_source, shard, space, _sizes(source, shard, known))
            contrast.append(_srss(tokens, patches, grid, settings))
            fair.append(balanced(patches))
    g, layout = (np.concatenate(arrays).astype(np.float64) for arrays in parts.values())
    for warning in preflight(facts, source.labels[: len(g)] if source.labels else None).warnings():
        console.warn(f"{source.name}: {warning}")
    if settings.mirrored:
        layout = averaged_with_mirror(layout)
    chosen = np.concatenate(fair) if fair and settings.preset == "code" else None
    return Description(space, grid, settings, g, layout, np.concatenate(contrast) if contrast else None, chosen)


def _features(wanted: Sequence[Space], source: ImageSource, settings: Settings) -> Iterator[tuple[Shard, Features]]:
    extraction = Extraction(wanted, device=settings.device, cache=settings.cache)
    cache = ShardCache(settings.cache)
    n = min(len(source), settings.limit or len(source))
    for shard in split(0, n):
        whole = n == shard.size
        subject = Subject(
            title=source.name if whole else f"{source.name} {shard.first + 1}-{shard.first + shard.size} of {n}",
            digest=digest({"files": source.digest}),
            shards=[shard],
            open=lambda: StoredImages(source),
        )
        plan = plan_subject(subject, extraction.spaces, cache)
        yield shard, gather(subject, plan, extraction, cache, batch_size=settings.batch_size)


def _srss(tokens: npt.NDArray[np.float32], masks: Bools, grid: Grid, settings: Settings) -> Float64:
    ranges = PRESETS[settings.preset](grid)
    return srss(torch.from_numpy(tokens).to(settings.device), masks, grid, same=ranges.same, far=ranges.far)


class _Size(NamedTuple):
    """What a mask has to agree with."""

    name: str
    width: int
    height: int


def _sizes(source: ImageSource, shard: Shard, facts: Sequence[ShardFacts]) -> list[_Size]:
    """Name and size of each image of the shard."""
    known = {size for one in facts for size in one.sizes}
    if len(known) == 1:
        width, height = map(int, known.pop().split("x"))
        return [_Size(name, width, height) for one in facts for name in one.names]
    # Facts count the sizes; which image has which, only the images tell.
    batches = source.batches(shard.first, shard.size, 64)
    return [_Size(one.name, one.width, one.height) for batch in batches for one in batch.facts]


def _masks(source: ImageSource, shard: Shard, space: Space, images: Sequence[_Size]) -> Bools:
    """(n, T). Raises `UsageError` where a mask's file is called otherwise than its image's, or is of another size."""
    grid = square_grid(space.shape[0])
    patches: list[Bools] = []
    masks: list[_Size] = []
    for batch in source.batches(shard.first, shard.size, 64):
        seen = frame_masks(space.extractor, batch.pixels.amax(dim=1) > 0)
        patches.append(patch_masks(seen.numpy(), grid))
        masks += [_Size(facts.name, facts.width, facts.height) for facts in batch.facts]
    check_names([image.name for image in images], [mask.name for mask in masks], where=source.name, what="mask")
    for image, mask in zip(images, masks, strict=True):
        if image[1:] != mask[1:]:
            raise UsageError(
                f"{source.name}: mask {mask.name} is {mask.width}x{mask.height}, "
                f"its image {image.name} {image.width}x{image.height}",
                hint="give each mask the size of its image: both are cropped alike",
            )
    return np.concatenate(patches)


def structure(images: Description) -> list[SpatialValue]:
    """LDS, CDS, SRSS and RMSC: means over images with their standard errors.

    With masks, preset ``code`` takes all four, as the authors' script does, of the images whose mask leaves a quarter
    of the tokens each to object and background. Preset ``paper`` takes SRSS of every image that has one and the others
    of every image: the paper tells of no such choice. Without masks SRSS has no value. Raises `FeatureError` if no
    image has one.
    """
    n = len(images.correlograms)
    per_image = dict(statistics(images.correlograms, images.grid, images.settings.preset))
    if images.srss is not None:
        per_image["srss"] = images.srss
    if images.chosen is not None:
        per_image = {name: np.where(images.chosen, values, np.nan) for name, values in per_image.items()}
    rows = {name: SpatialValue(name, *mean_over_images(values)) for name, values in per_image.items()}
    counted = rows["lds"].n
    if counted < n:
        console.note(f"{n - counted} of {n} images are left out, whose masks are nearly empty or full")
    if images.srss is not None and rows["srss"].n < counted:
        console.note(f"srss: {counted - rows['srss'].n} of {counted} images have none with their masks")
    return [rows["lds"], rows["cds"], rows.get("srss", SpatialValue("srss", None, None, 0)), rows["rmsc"]]


def distances(images: Description, reference: Description) -> list[SpatialValue]:
    """SSW and its parts, the signed shifts of those, CFD and LSD; all but the shifts are better when lower.

    Raises `FeatureError` for a single image on either side, and for a reference whose images are all alike.
    """
    ours, theirs = images.correlograms, reference.correlograms
    device, n, m = images.settings.device, len(ours), len(theirs)

    def row(name: str, found: Distance) -> SpatialValue:
        return SpatialValue(name, found.value, found.stderr, n, m, found.floor)

    ssw = spatial_wasserstein(ours, theirs, images.grid, preset=images.settings.preset)
    parts = ssw.by_statistic.items()
    return [
        row("ssw", ssw.mean),
        *(row(f"ssw-{name}", part.distance) for name, part in parts),
        *(SpatialValue(f"shift-{name}", part.shift, part.shift_stderr, n, m) for name, part in parts),
        row("cfd", correlogram_frechet(ours, theirs, images.grid, device=device)),
        row("lsd", layout_kernel(images.layouts, reference.layouts, device=device)),
    ]


def correlogram(images: Description) -> list[Lag]:
    """The mean correlogram, by distance, with its standard error over images."""
    columns: list[npt.NDArray[Any]] = list(images.correlograms.T)
    return [
        Lag(distance, int(pairs), *mean_over_images(values))
        for distance, (pairs, values) in enumerate(zip(images.grid.pairs, columns, strict=True))
    ]
