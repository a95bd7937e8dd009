"""The command `score`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genbench import console
from genbench.cli.options import (
    BatchOption,
    CacheOption,
    DeviceOption,
    ImagesArgument,
    LimitOption,
    PrecisionOption,
    RegistryOption,
    ResultsOption,
    SuitesOption,
    WorkersOption,
    device,
)
from genbench.cli.output import print_rows
from genbench.cli.store_commands import FormatOption
from genbench.errors import UsageError
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.precision import Precision
from genbench.report.tables import Format

if TYPE_CHECKING:
    from genbench.records import Record
    from genbench.score import Settings

ReferenceOption = Annotated[
    str | None, typer.Option("--reference", help="Images of any of these kinds, a statistics file, or a packaged name.")
]
HeldOutOption = Annotated[
    str | None,
    typer.Option("--held-out", help="Other real images, of the same kinds, for metrics such as FLD and C_T."),
]
OriginalsOption = Annotated[
    Path | None,
    typer.Option("--originals", help="What the images are reconstructions of, in their order and under their names."),
]
PromptsOption = Annotated[
    str | None,
    typer.Option(
        "--prompts",
        help="What the images were made from, for CLIP score: a .txt in their order, a .csv or .jsonl of prompt, "
        'file_name and category, or "a photo of a {class}" for class folders.',
    ),
]
SuiteOption = Annotated[
    str | None, typer.Option("--suite", help="Measure as this suite does; brings its reference and its prompts.")
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        help="Names with commas between.",
        show_default="fid,kid,precision,recall; with --originals psnr,ssim,lpips,rfid",
    ),
]
RecordOption = Annotated[bool, typer.Option("--record/--no-record", help="Keep the result as a record.")]


def score(
    path: ImagesArgument,
    *,
    reference: ReferenceOption = None,
    held_out: HeldOutOption = None,
    originals: OriginalsOption = None,
    prompts: PromptsOption = None,
    suite: SuiteOption = None,
    metrics: MetricsOption = None,
    form: FormatOption = Format.TABLE,
    limit: LimitOption = None,
    device_name: DeviceOption = None,
    batch_size: BatchOption = 64,
    precision: PrecisionOption = "exact",
    workers: WorkersOption = None,
    record: RecordOption = True,
    results: ResultsOption = None,
    cache: CacheOption = None,
    registry: RegistryOption = None,
    suites: SuitesOption = None,
) -> None:
    """Measure images that exist already: against a reference, as a suite does, or against their originals."""
    from genbench.records import check_writable, write_record
    from genbench.score import Settings

    asked = _Asked(path, reference, held_out, originals, prompts, suite, metrics, precision)
    asked.check()
    settings = Settings(
        cache=cache_folder(cache),
        registry=data_folders("registry", registry),
        device=device(device_name),
        batch_size=batch_size,
        workers=workers,
        limit=limit,
    )
    folder = results_folder(results)
    if record:
        check_writable(folder)
    made = asked.measure(settings, suites)
    _print_score(made, form)
    if record:
        console.note(f"record {write_record(made, folder)}")


@dataclass(frozen=True)
class _Asked:
    """What is to be measured, and against what."""

    path: Path
    reference: str | None
    held_out: str | None
    originals: Path | None
    prompts: str | None
    suite: str | None
    metrics: str | None
    precision: Precision

    def check(self) -> None:
        """Raise `UsageError` unless the options make one question."""
        sides = [self.reference, self.suite, self.originals]
        if sides.count(None) != 2 and (self.prompts is None or any(sides)):
            raise UsageError(
                "give one of --reference, --suite and --originals",
                hint=f"genbench score {self.path} --reference FOLDER, or --suite with a name of `genbench list suites`",
            )
        if self.suite is not None:
            _exclude("--suite", {"--metrics": self.metrics, "--held-out": self.held_out, "--prompts": self.prompts})
        if self.originals is not None:
            _exclude("--originals", {"--held-out": self.held_out, "--prompts": self.prompts})

    def measure(self, settings: Settings, suites: Path | None) -> Record:
        """The record of the measurement, not written yet."""
        from genbench.evaluation import parse_metrics
        from genbench.score import score, score_reconstructions

        if self.suite is not None:
            return self._as_suite(self.suite, settings, suites)
        if self.originals is not None:
            names = _names(self.metrics or "psnr,ssim,lpips,rfid")
            questions = parse_metrics(names, self.precision, originals=True)
            return score_reconstructions(self.path, self.originals, questions, settings)
        usual = "fid,kid,precision,recall" if self.reference is not None else "clip-score"
        questions = parse_metrics(_names(self.metrics or usual), self.precision)
        return score(self.path, self.reference, questions, settings, held_out=self.held_out, prompts=self.prompts)

    def _as_suite(self, suite: str, settings: Settings, suites: Path | None) -> Record:
        from genbench.protocol import load_protocol
        from genbench.references import Shelf
        from genbench.score import score_suite
        from genbench.suites import find_suite

        chosen = find_suite(suite, data_folders("suites", suites))
        shelf = Shelf(settings.registry, settings.cache, settings.device, settings.batch_size)
        return score_suite(self.path, load_protocol(chosen, shelf, self.precision), settings)


def _exclude(option: str, others: dict[str, str | None]) -> None:
    why = {
        "--suite": "a suite names its own metrics, held-out images and prompts",
        "--originals": "score the images once more against a --reference, or with --prompts alone",
    }
    for other, value in others.items():
        if value is not None:
            raise UsageError(f"{other} and {option} exclude each other", hint=why[option])


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _print_score(record: Record, form: Format) -> None:
    from genbench.metrics.catalog import parse

    measured = record.measurements
    further = [
        name for name in ("spread", "deviation", "deviation_n") if any(getattr(m, name) is not None for m in measured)
    ]
    columns = ("value", "stderr", "n", "n_reference", *further)
    rows = [(parse(m.metric).name, m.space, *(getattr(m, column) for column in columns)) for m in measured]
    print_rows(("metric", "space", *columns), rows, form)
