"""Records: one finished measurement as immutable JSON, with everything needed to say what its numbers mean."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from genbench import console, remote
from genbench.digest import digest
from genbench.errors import StoreError
from genbench.files import temporary_name, write_atomically
from genbench.precision import Precision
from genbench.provenance import Provenance
from genbench.schema import Strict

SCHEMA_VERSION = 4
"""Version 2 added held-out images, precision, spread, deviation, contributions and influence, 3 parts, prompts and more
costs, 4 the engine, its workers and their utilisation; older ones are read without."""

CLOCKS_DIFFER = timedelta(minutes=5)
"""What clocks of several machines may differ by, unremarked."""


class SuiteFacts(Strict):
    """The protocol that a run was measured under."""

    id: str
    digest: str
    """Covers seeds, labels, reference and feature networks by SHA-256, and metric versions."""


class RunFacts(Strict):
    """What was sampled."""

    name: str
    """``variant@preset``."""
    method: str
    variant: str
    preset: str
    digest: str
    """Covers everything that can change a pixel."""
    given: dict[str, Any]
    """Settings as the card and ``--set`` gave them."""
    settings: dict[str, Any]
    """Settings as the sampler used them."""
    weights_sha256: str | None


class ImageFacts(Strict):
    """The images that were measured."""

    source: str
    """``sampler``, or the path that was scored."""
    digest: str
    """Identity of the images: run digest and labels for a sampler, content for files."""
    n: int
    first_seed: int | None = None
    labels: str | None = None
    """Label policy."""
    warnings: tuple[str, ...] = ()
    """What preflight found."""


class ReferenceFacts(Strict):
    """What the images were compared with."""

    name: str
    sha256: dict[str, str]
    """By feature space: SHA-256 of the statistics file, or identity of the reference images."""
    n: dict[str, int]
    """By feature space: images behind the moments."""


class MeasurementFacts(Strict):
    """One number."""

    metric: str
    """``statistic@space``."""
    statistic: str
    space: str
    version: int
    """Version of the statistic's definition."""
    direction: Literal["lower", "higher"]
    """Which way is better."""
    value: float
    stderr: float | None
    """Standard error of the value over draws of the generated images, the reference held fixed."""
    n: int
    n_reference: int
    spread: float | None = None
    """Standard deviation over splits or subsets, which the field prints after the ±. It is not a standard error."""
    deviation: float | None = None
    """Of fast features: the value on the first `deviation_n` images less the value on exact features of the same ones.
    None for exact features, and where the statistic cannot be computed from so few images."""
    deviation_n: int | None = None


class ContributionFacts(Strict):
    """What one class of the generated images does to a Fréchet distance.

    `contribution` is the mean influence of the images of the class: by how much the distance rises, to first order and
    per unit of weight, when weight moves from all images to those of this class. Above 0 the class makes the distance
    worse. Weighted by the classes' shares of the images, contributions sum to 0: they say which classes to blame, not
    how the distance is divided among them.
    """

    metric: str
    """``fd@space``."""
    label: int
    """Number of the class."""
    name: str | None
    """None where classes have numbers only."""
    n: int
    """Generated images of the class."""
    contribution: float
    """In the unit of the distance."""
    stderr: float | None
    """Over draws of the images of the class, the other images fixed: std / √n; None for a single image."""


class PartFacts(Strict):
    """One of the numbers that a measurement is the mean of."""

    metric: str
    """``statistic@space`` of the measurement."""
    part: str
    """A feature space of FDr, or a category of prompts."""
    value: float
    stderr: float | None
    n: int
    """Generated images."""
    denominator: float | None = None
    """FDr: the Fréchet distance of `Record.held_out` to `Record.reference` that `value` was divided by."""


class PromptFacts(Strict):
    """What the images were made from."""

    source: str
    """A file, or a template with ``{class}``."""
    digest: str
    """Of the prompts, and of the images that they belong to where the file names them."""


class Costs(Strict):
    """What sampling and measuring took. None where it is not known, as for images that existed already."""

    parameters: int | None = None
    weight_bytes: int | None = None
    """Files."""
    nfe: float | None = None
    """Network evaluations an image, guidance not doubled; a mean where solvers choose their steps."""
    flops_per_image: int | None = None
    """Floating-point operations of every network, guidance doubling and latent decoder included; a multiply-add is
    two."""
    bops_per_image: int | None = None
    """Σ multiply-adds · bits of a weight · bits of an activation, of linear and convolution layers."""
    packed_weight_bytes: int | None = None
    """Parameters that sampling uses, at the bits that the preset keeps them in."""
    seconds_per_image: float | None = None
    """Sampling alone, averaged over all shards, whichever call filled them."""
    extraction_seconds_per_image: float | None = None
    workers: int | None = None
    """Processes that made the shards, whichever calls they were of."""
    utilisation: float | None = Field(default=None, ge=0)
    """Of the call that wrote the record: share of its workers' time, up to the last shard, in which they made images or
    extracted features; the rest is loading, sending, writing and waiting. None where it made no shard."""
    peak_memory_bytes: int | None = None
    wall_seconds: float
    """The call that wrote the record."""


class Record(Strict):
    """One finished run or score. `digest` covers all the rest, so that an edited record is noticed."""

    schema_version: int = SCHEMA_VERSION
    id: str
    created: datetime
    """UTC."""
    kind: Literal["run", "score"]
    limited: bool
    """Made with ``--limit``: carries its own n and enters no leaderboard."""
    block: int
    """Seed block of the suite, from 0."""
    suite: SuiteFacts | None
    run: RunFacts | None
    images: ImageFacts
    reference: ReferenceFacts
    held_out: ReferenceFacts | None = None
    """Real images that the reference does not hold, for the metrics that ask for some."""
    prompts: PromptFacts | None = None
    """None where no metric compares images with prompts."""
    precision: Precision = "exact"
    """How the networks computed the features of the images; those of references are always exact."""
    spaces: dict[str, str]
    """Digest of each feature space."""
    measurements: tuple[MeasurementFacts, ...] = Field(min_length=1)
    contributions: tuple[ContributionFacts, ...] = ()
    """Of each class to each Fréchet distance; empty where classes are not known."""
    parts: tuple[PartFacts, ...] = ()
    """What measurements are the means of: FDr space by space, CLIP score by category of prompts."""
    influence: str | None = None
    """Parquet file of each image's influence on each Fréchet distance, ``features/…`` below the cache folder; None
    without one."""
    costs: Costs
    provenance: Provenance
    digest: str = ""

    @model_validator(mode="after")
    def _stays_below_results(self) -> Record:
        """Records of others are merged into a results folder, and name their own place there."""
        path = self.folder / f"{self.id}.json"
        if path.is_absolute() or len(path.parts) != 3 or ".." in path.parts or not str(path).isprintable():
            raise ValueError("names no place below a results folder")
        return self

    @field_validator("influence")
    @classmethod
    def _stays_below_features(cls, value: str | None) -> str | None:
        """Records of others name a file that is opened here."""
        if value is None:
            return None
        path = PurePosixPath(value)
        inside = path.parts[:1] == ("features",) and path.suffix == ".parquet" and ".." not in path.parts
        if not inside or "\\" in value or not value.isprintable():
            raise ValueError("names no table below the features of a cache folder")
        return value

    @field_validator("created")
    @classmethod
    def _has_utc(cls, value: datetime) -> datetime:
        try:
            value.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("is before the first year in UTC, or after the last") from error
        return value

    @property
    def folder(self) -> Path:
        """Where the record lies below the results folder."""
        if self.suite and self.run:
            return Path(self.suite.id) / self.run.name
        name = Path(self.images.source).name
        return Path("score") / (name if name.isprintable() and name not in ("", "..") else "images")

    def sealed(self) -> Record:
        """The same record with `digest` filled in."""
        return self.model_copy(update={"digest": _content_digest(self.model_dump(mode="json"))})


def _content_digest(data: dict[str, Any]) -> str:
    return digest({key: value for key, value in data.items() if key != "digest"})


def new_id() -> tuple[datetime, str]:
    """Creation time and a name that no other record has: UTC time to the second, and eight random digits."""
    now = datetime.now(UTC).replace(microsecond=0)
    return now, f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def check_writable(results: Path) -> None:
    """Make the results folder, and see that a record could be written there, before anything is spent.

    Raises `StoreError` when it cannot.
    """
    probe = results / temporary_name("probe")
    try:
        results.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StoreError(
            f"{results}: results cannot be written ({error.strerror})",
            hint="name a folder that can be written with --results",
        ) from error
    if there := remote.remote_of(results):
        there.check_writable()


def write_record(record: Record, results: Path) -> Path:
    """Seal the record and write it below `results`, complete or not at all; warns of records there from the future.

    Where the results lie elsewhere, its preview goes there with it. Raises `StoreError` when the folder cannot be
    written.
    """
    folder = results / record.folder
    path = folder / f"{record.id}.json"
    text = json.dumps(record.sealed().model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise StoreError(
            f"{folder}: the record cannot be written ({error.strerror})",
            hint="free some space, or name another --results; features are kept, the same command continues",
        ) from error
    share(path)
    _warn_of_the_future(folder)
    return path


def share(path: Path) -> None:
    """Send a record, after its preview, where its results lie elsewhere. Raises `StoreError`."""
    if (preview := path.with_suffix(".png")).is_file():
        remote.send(preview)
    remote.send(path)


def _warn_of_the_future(folder: Path) -> None:
    soon = f"{datetime.now(UTC) + CLOCKS_DIFFER:%Y%m%dT%H%M%SZ}"
    newest = max(folder.glob("*.json"), default=None)
    if newest and newest.name > soon:
        console.warn(
            f"{newest}: made later than now by this clock; until then leaderboards take it for the newest record"
        )


def read_record(path: Path) -> Record:
    """Read one record.

    Raises `StoreError` when it cannot be read, is not a record, is of a newer schema, or was edited.
    """
    return parse_record(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a record's file. Raises `StoreError` when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})", hint="check its mode") from error
    except ValueError as error:
        raise StoreError(f"{path}: not a genbench record", hint="restore it from git, or delete it") from error


def parse_record(text: str, where: str) -> Record:
    """A record from its text; `where` is what an error names.

    Raises `StoreError` when it is not a record, is of a newer schema, or was edited.
    """
    try:
        data = json.loads(text)
        version = data.get("schema_version") if isinstance(data, dict) else None
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise StoreError(
                f"{where}: record schema {version} is newer than this genbench's {SCHEMA_VERSION}",
                hint="upgrade genbench",
            )
        record = Record.model_validate(data)
        # Of what was written, not of the model: a record of an older version lacks the fields that came later.
        intact = record.digest == _content_digest(data)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where}: not a genbench record", hint="restore it from git, or delete it") from error
    if not intact:
        raise StoreError(f"{where}: was changed after it was written", hint="restore it from git, or delete it")
    return record


def latest_record(folder: Path, wanted: Callable[[Record], bool]) -> tuple[Path, Record] | None:
    """The newest record of a run's folder that is wanted; unreadable ones are passed over."""
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            record = read_record(path)
        except StoreError:
            continue
        if wanted(record):
            return path, record
    return None


def record_files(results: Path) -> Iterator[Path]:
    """Every record file below the results folder, oldest name first within a run."""
    for path in sorted(results.glob("*/*/*.json")):
        if not path.name.startswith("."):
            yield path
