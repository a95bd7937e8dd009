"""Training curves of the embedded zoo:  uv run python -m zoo.measure NAME…

Measures every snapshot of a training under suite ``emoji32-training`` with the configuration's unguided preset, and
leaves records in ``results/``. The snapshots become variants of ``registry/NAME-training.toml``, which names their
weights by SHA-256 and says after how many epochs they stand: that is what the view ``training_curve`` draws. What is
measured already is not measured again. A snapshot of a training that is still running is measured too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from genbench.digest import digest_file
from genbench.errors import UsageError
from genbench.methods.runs import Run, make_run
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.protocol import load_protocol
from genbench.records import Record, read_record
from genbench.references import Shelf
from genbench.runner import Settings, blocks, execute
from genbench.suites import find_suite
from zoo.command import for_each
from zoo.configuration import RUNS, Model, Training, as_model
from zoo.trainer import snapshot
from zoo.variants import write_checkpoints

SUITE = "emoji32-training"


def snapshots(name: str, configuration: Model) -> dict[int, Path]:
    """The snapshots that there are, by step.

    Raises `UsageError` when there is none.
    """
    paths = {step: snapshot(RUNS / name, step) for step in configuration.budget.marks}
    found = {step: path for step, path in paths.items() if path.exists()}
    if not found:
        raise UsageError(f"{RUNS / name} holds no snapshot", hint=f"uv run python -m zoo.train {name}")
    return found


def records(suite: str, runs: Sequence[Run], settings: Settings) -> list[Record]:
    """The record of each run under a suite, made now or found in the results.

    Raises the error of the first that fails.
    """
    protocol = load_protocol(
        find_suite(suite, data_folders("suites", None)), Shelf(settings.registry, settings.cache, settings.device)
    )
    work = blocks(protocol, runs, settings)
    for outcome in execute([block for block in work if block.finished() is None]):
        if outcome.error is not None:
            raise outcome.error
    return [read_record(path) for block in work if (path := block.finished()) is not None]


def with_snapshots(settings: Settings, name: str) -> Settings:
    """The same, with the snapshots of a training among the weights."""
    return replace(settings, registry=[*settings.registry, RUNS / name])


def measure(name: str, configuration: Training, settings: Settings) -> None:
    """A record for each snapshot of one training.

    Raises `UsageError` when there is none, and for a tokenizer.
    """
    model = as_model(name, configuration)
    digests = {step: digest_file(path) for step, path in snapshots(name, model).items()}
    written = write_checkpoints(name, model, digests)
    runs = [make_run(written, variant_name, model.curve, {}) for variant_name in written.variants]
    records(SUITE, runs, with_snapshots(settings, name))


def default_settings() -> Settings:
    """Results, cache and registry where genbench looks for them."""
    return Settings(results=results_folder(None), cache=cache_folder(None), registry=data_folders("registry", None))


def main(arguments: Sequence[str]) -> int:
    """Measure one by one; the exit code."""
    settings = default_settings()
    return for_each(partial(measure, settings=settings), arguments, module="zoo.measure", about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
