"""The published literature: strict readers of ``registry/published/*.csv``, one row a printed figure or point.

figures-*.csv      what papers and repositories print: quality, cost, size
fdr6.csv           FDr^6 and its six ratios, which are read as figures too
epochs-to-fid2.csv epochs of training until an unguided FID of 2 (EP_FID@2)
irepa-encoders.csv encoders as targets of REPA and iREPA, and what was generated with them
irepa-scatter.csv  the 27 encoders of iREPA's correlation study, digitised from its figure
network-costs.csv  parameters and multiply-accumulates, counted on networks without weights

Other ``figures-*.csv`` in a registry are read beside these: so a user adds figures of their own.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, StringConstraints, field_validator, model_validator

from genbench.cards import Name
from genbench.errors import ConfigError, UsageError, nearest, unknown
from genbench.metrics.catalog import ALIASES, STATISTICS, Direction, parse
from genbench.paths import first_of_each
from genbench.schema import Strict, check
from genbench.suites import LabelPolicy

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Bound = Literal["<", "<=", ">", ">="]
Evidence = Literal["paper", "abstract", "repository", "issue", "rerun", "secondary"]
Conditioning = Literal["class", "text", "image", "none"]


class Outside(NamedTuple):
    """A quantity that papers print and genbench's catalog of metrics does not hold."""

    direction: Direction | None
    """Which values are better; none for a change that is good one way or the other."""
    meaning: str


OUTSIDE: Mapping[str, Outside] = MappingProxyType(
    {
        "bops-t-per-step": Outside("lower", "10^12 bit operations of a sampling step: MACs times both bit widths"),
        "clip-similarity": Outside("higher", "mean cosine of image and prompt in a CLIP network, often not named"),
        "codebook-usage-pct": Outside("higher", "percent of a tokenizer's codes that are used"),
        "epochs-to-fid2": Outside("lower", "epochs of training until an unguided FID of 2"),
        "extra-training-pct": Outside("lower", "training compute beyond the base model's, percent"),
        "fid-change": Outside(None, "difference of FID to a base model"),
        "fid-reduction-pct": Outside("higher", "how much lower the FID is than a base model's, percent"),
        "fvd": Outside("lower", "Fréchet video distance"),
        "geneval": Outside("higher", "GenEval score of text-to-image models"),
        "gflops": Outside("lower", "10^9 operations of a network evaluation, as printed: nearly always MACs"),
        "gflops-reduction-pct": Outside("higher", "how many operations fewer than a base model, percent"),
        "images-per-second": Outside("higher", "sampling throughput"),
        "memory-gib": Outside("lower", "accelerator memory, GiB"),
        "memory-mb": Outside("lower", "accelerator memory, MB as printed"),
        "memory-saving": Outside("higher", "times less memory than a base model"),
        "model-size-mb": Outside("lower", "size of the weights as the paper counts it, MB or MiB"),
        "ms-ssim": Outside("higher", "multi-scale structural similarity"),
        "ops-g": Outside("lower", "10^9 operations, 64 one-bit ones counted as one"),
        "ops-saving": Outside("higher", "times fewer operations than a base model"),
        "psnr-to-parent": Outside("higher", "PSNR of a quantised model's images to its parent's, dB"),
        "relative-cost": Outside("lower", "cost of sampling, that of the paper's largest model being 1"),
        "relative-time": Outside("lower", "time of sampling, that of the paper's largest model being 1"),
        "rfvd": Outside("lower", "Fréchet video distance of reconstructions to their originals"),
        "seconds": Outside("lower", "time of what the row names, as measured in the source"),
        "seconds-per-image": Outside("lower", "time an image, as measured in the source"),
        "sfid-change": Outside(None, "difference of sFID to a base model"),
        "size-saving": Outside("higher", "times less storage than a base model"),
        "speedup": Outside("higher", "times faster sampling than a base model"),
        "training-speedup": Outside("higher", "times faster training than a base model"),
    }
)
"""The literature's other quantities."""


def canonical_metric(name: str) -> tuple[str, Direction | None]:
    """The identity and direction of a figure's metric: ``statistic@space`` if genbench measures it, else its name.

    Raises ValueError for a name that is in neither list.
    """
    if name in OUTSIDE:
        return name, OUTSIDE[name].direction
    if name in ALIASES or name.partition("@")[0] in STATISTICS:
        metric = parse(name)
        return metric.id, metric.statistic.direction
    close = nearest(name, [*ALIASES, *OUTSIDE])
    raise ValueError(f"no metric {name!r}" + (f"; did you mean {' or '.join(close)}?" if close else ""))


def _listed(value: Any) -> Any:
    """The words of a field that ``;`` separates."""
    return tuple(value.split(";")) if isinstance(value, str) else value or ()


class Figure(Strict):
    """One printed number."""

    method: Name
    """The card of the method; for baselines without one a name of its own."""
    system: Text
    """What the source calls it."""
    variant: Text | None = None
    dataset: Text | None = None
    """As suites and cards name data sets; none where the figure is of no data set."""
    conditioning: Conditioning | None = None
    """What images are made from: a class, a text, an image (reconstruction), or nothing. None where not stated."""
    resolution: int | None = Field(default=None, gt=0)
    """Side of the scored images, pixels."""
    metric: Text
    """As the catalog of metrics names it (``fid``, ``fdr@mae-l``), else a name of `OUTSIDE`."""
    value: float
    bound: Bound | None = None
    """The source gives a limit, not a value."""
    n: int | None = Field(default=None, gt=0)
    """Scored images; none where not stated."""
    labels: LabelPolicy | None = None
    """How the classes of the images were drawn; none where not stated."""
    evaluator: Text | None = None
    """Program that measured; none where not stated."""
    reference: Text | None = None
    """What images were compared with, by its name in ``registry/references`` where genbench has it; none where not
    stated."""
    guidance: Text | None = None
    """As printed: conventions differ between papers."""
    sampler: Text | None = None
    nfe: int | None = Field(default=None, gt=0)
    """Network evaluations an image, guidance not doubled."""
    parameters: float | None = Field(default=None, gt=0)
    """Parameters as the source counts them."""
    epochs: float | None = Field(default=None, gt=0)
    iterations: int | None = Field(default=None, gt=0)
    weight_bits: float | None = Field(default=None, gt=0)
    activation_bits: float | None = Field(default=None, gt=0)
    evidence: Evidence
    """What the source is: the authors' paper, its abstract, their repository or page, an issue; a measurement that
    others made again, or a figure that others print, quoted or as their baseline."""
    source: Text
    note: Text | None = None

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str) -> str:
        canonical_metric(value)
        return value


FDR_SPACES: Mapping[str, str] = MappingProxyType(
    {
        "inception": "inception-tf",
        "convnext": "convnextv2-b",
        "dinov2": "dinov2-l-fdloss",
        "mae": "mae-l",
        "siglip2": "siglip2-so400m",
        "clip": "clip-l14",
    }
)
"""The columns of ``fdr6.csv`` and their feature spaces."""


class FdrRow(Strict):
    """FDr^6 of one method: the Fréchet distance in six spaces over that of held-out images, and their mean."""

    method: Name
    system: Text
    inception: float = Field(gt=0)
    convnext: float = Field(gt=0)
    dinov2: float = Field(gt=0)
    mae: float = Field(gt=0)
    siglip2: float = Field(gt=0)
    clip: float = Field(gt=0)
    fdr6: float = Field(gt=0)
    fid: float = Field(gt=0)
    inception_score: float | None = Field(default=None, gt=0)
    n: int = Field(gt=0)
    dataset: Text
    resolution: int = Field(gt=0)
    evidence: Evidence
    source: Text
    note: Text | None = None

    @model_validator(mode="after")
    def _mean(self) -> FdrRow:
        mean = math.fsum(getattr(self, column) for column in FDR_SPACES) / len(FDR_SPACES)
        # Each of the seven is rounded to two decimals.
        if abs(mean - self.fdr6) > 0.0101:
            raise ValueError(f"fdr6 is {self.fdr6}, the mean of the six is {mean:.3f}")
        return self

    def figures(self) -> Iterator[Figure]:
        """The same numbers as figures."""
        values = {space: getattr(self, column) for column, space in FDR_SPACES.items()}
        named = {
            "fid": self.fid,
            "is": self.inception_score,
            **{f"fdr@{k}": v for k, v in values.items()},
            "fdr6": self.fdr6,
        }
        for metric, value in named.items():
            if value is not None:
                yield Figure(
                    method=self.method,
                    system=self.system,
                    dataset=self.dataset,
                    conditioning="class",
                    resolution=self.resolution,
                    metric=metric,
                    value=value,
                    n=self.n,
                    evidence=self.evidence,
                    source=self.source,
                    note=self.note,
                )


class EpochsRow(Strict):
    """EP_FID@2 of one method."""

    method: Name
    system: Text
    total_epochs: int = Field(gt=0)
    """Epochs of the published model."""
    epochs: int | None = Field(default=None, gt=0)
    """Epochs until the unguided FID is 2 or less; none where not given."""
    bound: Literal[">"] | None = None
    """It was not reached in so many epochs."""
    fid: float = Field(gt=0)
    """The guided FID of the published model."""
    source: Text


class EncoderRow(Strict):
    """One encoder as the target of representation alignment, and what the generator trained with it makes."""

    encoder: Text
    code_name: Text
    """What iREPA's repository calls it."""
    linear_probe: float | None = Field(default=None, gt=0, le=100)
    """ImageNet accuracy of a linear probe, percent."""
    lds: float | None = None
    cds: float | None = None
    srss: float | None = None
    rmsc: float | None = None
    fid: float | None = Field(default=None, gt=0)
    sfid: float | None = Field(default=None, gt=0)
    inception_score: float | None = Field(default=None, gt=0)
    precision: float | None = Field(default=None, ge=0, le=1)
    recall: float | None = Field(default=None, ge=0, le=1)
    cmmd: float | None = None
    generator: Text
    iterations: int = Field(gt=0)
    alignment: Text
    guidance: Text | None = None
    """None where nothing was guided."""
    printed: Literal["table", "table in a figure", "text"]
    source: Text
    note: Text | None = None


class ScatterRow(Strict):
    """One point of iREPA's study: spatial structure of an encoder's features, and the FID of what it taught."""

    point: int = Field(ge=0)
    encoder: Text | None = None
    """None where the figure and the text do not tell."""
    identified_by: Text | None = None
    linear_probe: float = Field(gt=0, le=100)
    """ImageNet accuracy of a linear probe, percent."""
    lds: float
    cds: float
    srss: float
    rmsc: float
    fid: float = Field(gt=0)
    """Of SiT-XL/2 with REPA, without guidance."""
    overlapping: tuple[Literal["lds", "cds", "srss", "rmsc"], ...] = ()
    """Panels where the marker lies on others: the value, and whose it is, are less certain there."""
    generator: Text
    iterations: int = Field(gt=0)
    source: Text

    @field_validator("overlapping", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return _listed(value)


class NetworkCostRow(Strict):
    """Size of a network, counted without weights."""

    network: Text
    input: Text
    parameters: int = Field(gt=0)
    macs: int = Field(gt=0)
    """Multiply-accumulates of one forward pass of one image."""
    counted_on: Text
    note: Text | None = None


ROWS: Mapping[str, type[Strict]] = MappingProxyType(
    {
        "fdr6.csv": FdrRow,
        "epochs-to-fid2.csv": EpochsRow,
        "irepa-encoders.csv": EncoderRow,
        "irepa-scatter.csv": ScatterRow,
        "network-costs.csv": NetworkCostRow,
    }
)
"""The files of a shape of their own; every other file is one of figures, ``figures-*.csv``."""

Row = TypeVar("Row", bound=BaseModel)


def row_model(path: Path) -> type[Strict]:
    """What a row of that file is.

    Raises `ConfigError` for a file name that says nothing of its rows.
    """
    if path.name in ROWS:
        return ROWS[path.name]
    if path.name.startswith("figures-"):
        return Figure
    raise ConfigError(f"{path}: no such file of published figures", hint=f"name it figures-*.csv or {', '.join(ROWS)}")


def read_rows(model: type[Row], path: Path) -> list[Row]:
    """Every row of a CSV file, in its order; an empty field is none.

    Raises `ConfigError` naming the file, the line and the column when one is unknown, missing or holds what it must
    not, and for a row that stands there twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte-order mark
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})", hint="it must be CSV in UTF-8") from error
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    rows: dict[Row, int] = {}
    try:
        columns = next(reader, [])
        if not columns or len(set(columns)) < len(columns):
            raise ConfigError(f"{path}:1: no header of distinct columns", hint=f"for example {','.join(_named(model))}")
        for fields in filter(None, reader):
            row = check(model, _plain(columns, fields, path, reader.line_num), f"{path}:{reader.line_num}")
            first = rows.setdefault(row, reader.line_num)
            if first != reader.line_num:
                raise ConfigError(f"{path}:{reader.line_num}: repeats line {first}", hint="delete one of the two")
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}: not CSV: {error}", hint="see RFC 4180 on quotes") from error
    return list(rows)


def _named(model: type[BaseModel]) -> list[str]:
    """The columns that every row of the model fills."""
    return [name for name, field in model.model_fields.items() if field.is_required()]


def _plain(columns: Sequence[str], fields: Sequence[str], path: Path, line: int) -> dict[str, str]:
    if len(fields) != len(columns):
        raise ConfigError(
            f"{path}:{line}: {len(fields)} fields, the header names {len(columns)} columns",
            hint="put fields with commas into quotes",
        )
    return {column: field for column, field in zip(columns, fields, strict=True) if field}


def read_figures(path: Path) -> list[Figure]:
    """The figures of a file ``figures-*.csv`` or ``fdr6.csv``; raises as `read_rows` does, and for any other file."""
    model = row_model(path)
    if model is FdrRow:
        return [figure for row in read_rows(FdrRow, path) for figure in row.figures()]
    if model is not Figure:
        raise ConfigError(f"{path}: holds no figures", hint="figures-*.csv and fdr6.csv do")
    return read_rows(Figure, path)


def load_figures(folders: Sequence[Path]) -> list[Figure]:
    """The figures of every ``published/figures-*.csv`` and ``published/fdr6.csv``; of two files with one name the
    first folder's counts.

    Raises `ConfigError` as `read_rows` does.
    """
    files = first_of_each(folders, "published/figures-*.csv", "published/fdr6.csv")
    return [figure for path in files.values() for figure in read_figures(path)]


def figures_of(method: str, figures: Sequence[Figure]) -> list[Figure]:
    """The figures of one method.

    Raises `UsageError` with the nearest method ids; for what a source calls a method, with the id that it stands under.
    """
    found = [figure for figure in figures if figure.method == method]
    if found:
        return found
    ids = {figure.method for figure in figures}
    printed = {figure.system.casefold(): figure.method for figure in figures}
    if method.casefold() in printed:
        raise UsageError(
            f"no published figures under {method!r}", hint=f"they stand under {printed[method.casefold()]}"
        )
    raise unknown("method with published figures", method, ids, lister="genbench list published")
