"""Training curves of the embedded zoo:  uv run python -m zoo.measure NAME…

Measures every snapshot of a training under suite ``emoji32-training`` with the configuration's unguided preset, and
leaves records in ``results/``. The snapshots become variants of ``registry/NAME-training.toml``, which names their
weights by SHA-256 and says after how many epochs they stand: that is what the view ``training_curve`` draws. What is
measured already is not measured again. A snapshot of a training that is still running is measured too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from genbench.digest import digest_file
from genbench.errors import UsageError
from genbench.methods.loading import WeightsOnDisk
from genbench.methods.runs import Run, make_run
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.protocol import load_protocol
from genbench.records import Record, read_record
from genbench.references import Shelf
from genbench.runner import Block, Settings, execute
from genbench.suites import find_suite
from zoo.command import for_each
from zoo.configuration import RUNS, Configuration
from zoo.trainer import snapshot
from zoo.variants import write_checkpoints

SUITE = "emoji32-training"


def snapshots(name: str, configuration: Configuration) -> dict[int, Path]:
    """The snapshots that there are, by step.

    Raises `UsageError` when there is none.
    """
    paths = {step: snapshot(RUNS / name, step) for step in configuration.budget.marks}
    found = {step: path for step, path in paths.items() if path.exists()}
    if not found:
        raise UsageError(f"{RUNS / name} holds no snapshot", hint=f"uv run python -m zoo.train {name}")
    return found


def records(work: Iterable[tuple[Run, WeightsOnDisk]], settings: Settings) -> list[Record]:
    """The record of each run with those weights under suite ``emoji32-training``, made now or found in the results.

    Raises the error of the first that fails.
    """
    suite = find_suite(SUITE, data_folders("suites", None))
    protocol = load_protocol(suite, Shelf(settings.registry, settings.cache, settings.device))
    blocks = [Block(protocol, run, 0, weights, settings) for run, weights in work]
    for outcome in execute([block for block in blocks if block.finished() is None]):
        if outcome.error is not None:
            raise outcome.error
    return [read_record(path) for block in blocks if (path := block.finished()) is not None]


def measure(name: str, configuration: Configuration, settings: Settings) -> None:
    """A record for each snapshot of one training.

    Raises `UsageError` when there is none.
    """
    found = {step: WeightsOnDisk(path, digest_file(path)) for step, path in snapshots(name, configuration).items()}
    written = write_checkpoints(name, configuration, {step: weights.sha256 for step, weights in found.items()})
    runs = [make_run(written, variant_name, configuration.curve, {}) for variant_name in written.variants]
    records(zip(runs, found.values(), strict=True), settings)


def default_settings() -> Settings:
    """Results, cache and registry where genbench looks for them."""
    return Settings(results=results_folder(None), cache=cache_folder(None), registry=data_folders("registry", None))


def main(arguments: Sequence[str]) -> int:
    """Measure one by one; the exit code."""
    settings = default_settings()
    return for_each(partial(measure, settings=settings), arguments, module="zoo.measure", about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
