"""What images are compared with: packaged statistics, stored statistics, or other images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import Field

from genbench import console, published_statistics
from genbench.cards import FileName, Sha256
from genbench.digest import digest, digest_file
from genbench.errors import FeatureError, UsageError, unknown
from genbench.evaluation import Extraction, gather, plan_subject, stored_images
from genbench.features import spaces
from genbench.features.space import Space
from genbench.files import portable_name
from genbench.images.sources import ImageSource, open_source
from genbench.metrics.reference import VERSION, Reference
from genbench.records import ReferenceFacts
from genbench.schema import Strict, load_toml
from genbench.shards import ShardCache
from genbench.weights import WeightFile, locate


@dataclass(frozen=True)
class References:
    """One reference in several feature spaces."""

    by_space: Mapping[str, Reference]
    facts: ReferenceFacts


NOTHING = References({}, ReferenceFacts(name="none", sha256={}, n={}))
"""For images that are compared with prompts alone."""


def reference_file(name: str, space: str) -> Path:
    """Where a named reference has its statistics in a space, below a registry folder."""
    return Path("references") / name / f"{portable_name(space)}.safetensors"


class PublishedReference(Strict):
    """``references/<name>.toml`` of a registry: statistics that another tool publishes at an address."""

    format: str
    """One of `genbench.published_statistics.FORMATS`."""
    file: FileName
    """File name in the cache."""
    url: str
    sha256: Sha256 | None = None
    """Pinned at first use where the publisher gives none."""
    n: int = Field(ge=2)
    """Images behind the moments; the file does not say."""
    dataset: str
    resolution: int = Field(gt=0)


@dataclass(frozen=True)
class Shelf:
    """Where named references are looked for, and how published ones are made ready."""

    registry: Sequence[Path]
    cache: Path
    device: str = "cpu"
    batch_size: int = 64

    def names(self) -> list[str]:
        """References that have statistics files here, or an address to fetch them from."""
        ready = {path.parent.name for folder in self.registry for path in folder.glob("references/*/*.safetensors")}
        published = {path.stem for folder in self.registry for path in folder.glob("references/*.toml")}
        return sorted(ready | published)

    def load(self, name: str, wanted: Mapping[str, Space]) -> References:
        """The statistics of that name in each space; published ones are fetched and converted, once.

        Raises `UsageError` when there is none of that name, `FeatureError` when one was made in another space, and
        `WeightsError` when published statistics cannot be had.
        """
        files = {space: self._find(name, space) for space in wanted}
        loaded = {s: Reference.load(f, space=s, space_digest=wanted[s].digest) for s, f in files.items()}
        sha256 = {space: digest_file(path) for space, path in files.items()}
        return References(loaded, ReferenceFacts(name=name, sha256=sha256, n={s: r.n for s, r in loaded.items()}))

    def _find(self, name: str, space: str) -> Path:
        for folder in self.registry:
            path = folder / reference_file(name, space)
            if path.is_file():
                return path
        for folder in self.registry:
            path = folder / "references" / f"{name}.toml"
            if path.is_file():
                return self._fetched(name, load_toml(PublishedReference, path), space)
        known = self.names()
        if name not in known:
            raise unknown("reference", name, known, where="registry/references")
        raise _lacks(name, space)

    def _fetched(self, name: str, published: PublishedReference, space: str) -> Path:
        spec = WeightFile(file=published.file, sha256=published.sha256, url=published.url)
        source = locate(spec, cache=self.cache)
        home = self.cache / "references" / _conversion(digest_file(source), published)
        path = home / reference_file(name, space)
        if not path.is_file():  # whoever began may have been killed between two spaces
            made = from_published(
                source,
                published.format,
                published.n,
                device=self.device,
                cache=self.cache,
                batch_size=self.batch_size,
                resolution=published.resolution,
            )
            for made_space, reference in made.items():
                reference.save(home / reference_file(name, made_space))
        if not path.is_file():
            raise _lacks(name, space)
        return path


def _conversion(sha256: str, published: PublishedReference) -> str:
    """Digest of everything that statistics converted from a file of that SHA-256 follow from."""
    made_in = published_statistics.FORMATS.get(published.format, {})
    return digest(
        {
            "source": sha256,
            "format": published.format,
            "n": published.n,
            "spaces": {space: spaces.get(space).digest for space in made_in},
            "version": VERSION,
        }
    )


def _lacks(name: str, space: str) -> UsageError:
    return UsageError(
        f"reference {name!r} has no statistics in {space}",
        hint=f"`genbench reference build IMAGES --name {name} --space {space}` makes them",
    )


def from_file(path: Path, wanted: Mapping[str, Space]) -> References:
    """One statistics file, which holds one feature space.

    Raises `FeatureError` when the metrics need another space, or more than one.
    """
    if len(wanted) > 1:
        raise FeatureError(
            f"{path}: one file holds one feature space, the metrics need {', '.join(wanted)}",
            hint="ask for the metrics of one space, or give the reference as images",
        )
    loaded = {s: Reference.load(path, space=s, space_digest=space.digest) for s, space in wanted.items()}
    sha256 = dict.fromkeys(loaded, digest_file(path)) if loaded else {}
    return References(loaded, ReferenceFacts(name=str(path), sha256=sha256, n={s: r.n for s, r in loaded.items()}))


def from_images(
    source: ImageSource, extraction: Extraction, cache: ShardCache, *, batch_size: int, keep: int | None = None
) -> References:
    """Statistics of all images of a source in the extraction's spaces; features of `keep` of them (none: of all).

    Raises what reading and extracting raise, and `FeatureError` for fewer than two images.
    """
    subject = stored_images(source, len(source))
    plan = plan_subject(subject, extraction.spaces, cache)
    features = gather(subject, plan, extraction, cache, batch_size=batch_size)
    for warning in features.report.warnings():
        console.warn(f"{source.name} (reference): {warning}")
    by_space = {
        space.name: Reference.from_features(
            features.by_space[space.name],
            space=space.name,
            space_digest=space.digest,
            keep="all" if keep is None else keep,
            packets=space.packets,
            labels=subject.labels,
            source={"images": source.name, "images_digest": source.digest},
        )
        for space in extraction.spaces
    }
    facts = ReferenceFacts(
        name=source.name,
        sha256=dict.fromkeys(by_space, source.digest),
        n=dict.fromkeys(by_space, len(source)),
    )
    return References(by_space, facts)


def check_resolution(source: ImageSource, resolution: int) -> None:
    """Look at the first image only: whether every one is of that size is known when all have been read.

    Raises `UsageError` when it is of another size than ``resolution`` squared.
    """
    first = next(iter(source.batches(0, 1, 1)))
    height, width = first.pixels.shape[2:]
    if (height, width) != (resolution, resolution):
        raise UsageError(
            f"{source.name}: images of {width}x{height}, the suite asks for {resolution}x{resolution}",
            hint="resize them as the protocol says",
        )


def from_published(
    path: Path, form: str, n: int, *, device: str, cache: Path, batch_size: int, resolution: int | None = None
) -> dict[str, Reference]:
    """Statistics that another tool published, by feature space; see `genbench.published_statistics` for the formats.

    Where images lie beside the moments (ADM), their features are extracted: they serve the metrics that compare pairs,
    and are not the images behind the moments.

    Raises `FeatureError` for files that are not what the format says, and `UsageError` for images that are not of the
    `resolution` asked for.
    """
    published = published_statistics.read(path, form, n)
    features: Mapping[str, npt.NDArray[np.float32]] = {}
    if published.has_images:
        source = open_source(path)
        if resolution is not None:
            check_resolution(source, resolution)
        extraction = Extraction([spaces.get(space) for space in published.moments], device=device, cache=cache)
        subject, shards = stored_images(source, len(source)), ShardCache(cache)
        plan = plan_subject(subject, extraction.spaces, shards)
        features = gather(subject, plan, extraction, shards, batch_size=batch_size).by_space
    origin = {"file": path.name, "sha256": digest_file(path), "format": form}
    return {
        space: Reference.from_moments(
            moments,
            space=space,
            space_digest=spaces.get(space).digest,
            features=features.get(space),
            indices=np.arange(len(features[space])) if space in features else None,
            source=origin,
        )
        for space, moments in published.moments.items()
    }
