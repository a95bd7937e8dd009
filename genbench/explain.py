"""The same images under every FID convention: why one tool's FID is not another's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genbench.errors import UsageError
from genbench.evaluation import Extraction, gather, plan_subject, stored_images
from genbench.features import spaces
from genbench.images.sources import open_source
from genbench.metrics.frechet import frechet_distance
from genbench.references import from_images
from genbench.shards import ShardCache


@dataclass(frozen=True)
class Convention:
    """How a group of tools arrives at the number that each of them calls FID."""

    space: str
    tools: str
    why: str
    """What it does differently from the first convention, in a few words."""


CONVENTIONS = (
    Convention(
        "inception-tf",
        "ADM evaluator, torch-fidelity",
        "TensorFlow 1 bilinear: no half-pixel shift, no antialiasing; the field's published numbers",
    ),
    Convention(
        "inception-torch",
        "pytorch-fid, piq, dgm-eval",
        "pixel centres shifted by half a pixel, and v/127.5 - 1 for (v - 128)/128",
    ),
    Convention(
        "inception-clean",
        "clean-fid",
        "bicubic with antialiasing, in float: smooths what plain bilinear aliases when images are shrunk",
    ),
    Convention(
        "inception-aa",
        "torchmetrics 1.8 and later",
        "antialiased bilinear with half-pixel shift: differs at every size, not only when shrinking",
    ),
)
"""The conventions, the published one first."""


@dataclass(frozen=True)
class Row:
    """FID of one convention."""

    convention: Convention
    value: float
    stderr: float | None
    difference: float
    """From the first convention."""


def explain(images: Path, reference: Path, *, device: str, cache: Path, batch_size: int) -> list[Row]:
    """FID of the images at one path against those at another under each convention, from one pass over both.

    Raises `UsageError` when the reference is not there, or is no images (stored statistics are of one convention), and
    what reading images and extracting features raise.
    """
    if not reference.exists():
        raise UsageError(
            f"{reference}: no such file or folder",
            hint="explain needs the reference as images, a folder or an archive: a name stands for statistics of one "
            "convention",
        )
    if reference.suffix == ".safetensors":
        raise UsageError(
            f"{reference}: explain needs the reference as images, because statistics are of one convention",
            hint="give the folder or archive that the statistics were made from",
        )
    extraction = Extraction([spaces.get(c.space) for c in CONVENTIONS], device=device, cache=cache)
    shards = ShardCache(cache)
    source = open_source(images)
    references = from_images(open_source(reference), extraction, shards, batch_size=batch_size)
    subject = stored_images(source, len(source))
    plan = plan_subject(subject, extraction.spaces, shards)
    features = gather(subject, plan, extraction, shards, batch_size=batch_size).by_space
    rows: list[Row] = []
    for convention in CONVENTIONS:
        space = convention.space
        distance = frechet_distance(features[space], references.by_space[space])
        first = rows[0].value if rows else distance.value
        rows.append(Row(convention, distance.value, distance.stderr, distance.value - first))
    return rows
