"""What images are compared with: packaged statistics, stored statistics, or other images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from genbench import console
from genbench.digest import digest_file
from genbench.errors import FeatureError, UsageError, unknown
from genbench.evaluation import Extraction, gather, plan_subject, stored_images
from genbench.features.space import Space
from genbench.images.sources import ImageSource
from genbench.metrics.reference import Reference
from genbench.records import ReferenceFacts
from genbench.shards import ShardCache


@dataclass(frozen=True)
class References:
    """One reference in several feature spaces."""

    by_space: Mapping[str, Reference]
    facts: ReferenceFacts


def reference_file(name: str, space: str) -> Path:
    """Where a named reference has its statistics in a space, below a registry folder."""
    return Path("references") / name / f"{space.replace('/', '_')}.safetensors"


def reference_names(registry: Sequence[Path]) -> list[str]:
    """Names of the reference statistics in the registry."""
    return sorted({path.parent.name for folder in registry for path in folder.glob("references/*/*.safetensors")})


def named(name: str, spaces: Mapping[str, Space], registry: Sequence[Path]) -> References:
    """The statistics files of that name in the registry, one for each space.

    Raises `UsageError` when there is none of that name, `FeatureError` when one was made in another space.
    """
    files = {space: _find(name, space, registry) for space in spaces}
    loaded = {s: Reference.load(f, space=s, space_digest=spaces[s].digest) for s, f in files.items()}
    sha256 = {space: digest_file(path) for space, path in files.items()}
    return References(loaded, ReferenceFacts(name=name, sha256=sha256, n={s: r.n for s, r in loaded.items()}))


def _find(name: str, space: str, registry: Sequence[Path]) -> Path:
    for folder in registry:
        path = folder / reference_file(name, space)
        if path.is_file():
            return path
    known = reference_names(registry)
    if name not in known:
        raise unknown("reference", name, known, where="registry/references")
    raise UsageError(
        f"reference {name!r} has no statistics in {space}",
        hint=f"`genbench reference build IMAGES --name {name} --space {space}` makes them",
    )


def from_file(path: Path, spaces: Mapping[str, Space]) -> References:
    """One statistics file, which holds one feature space.

    Raises `FeatureError` when the metrics need another space, or more than one.
    """
    if len(spaces) > 1:
        raise FeatureError(
            f"{path}: one file holds one feature space, the metrics need {', '.join(spaces)}",
            hint="ask for the metrics of one space, or give the reference as images",
        )
    ((name, space),) = spaces.items()
    loaded = Reference.load(path, space=name, space_digest=space.digest)
    facts = ReferenceFacts(name=str(path), sha256={name: digest_file(path)}, n={name: loaded.n})
    return References({name: loaded}, facts)


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
