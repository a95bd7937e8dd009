"""Training curves of the embedded zoo:  uv run python -m zoo.measure NAME…

Measures every snapshot of a training under suite ``emoji32-training`` with the configuration's unguided preset, and
leaves records in ``results/``. The snapshots become variants of ``registry/NAME-training.toml``, which names their
weights by SHA-256 and says after how many epochs they stand: that is what the view ``training_curve`` draws. What is
measured already is not measured again. A snapshot of a training that is still running is measured too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from genbench import console
from genbench.cards import MethodCard, load_card
from genbench.digest import digest_file
from genbench.errors import GenbenchError, UsageError
from genbench.files import write_atomically
from genbench.images import emoji32
from genbench.methods.loading import WeightsOnDisk
from genbench.methods.runs import Run, make_run
from genbench.paths import cache_folder, data_folders, results_folder
from genbench.protocol import load_protocol
from genbench.records import Record, read_record
from genbench.references import Shelf
from genbench.runner import Block, Settings, execute
from genbench.suites import find_suite
from zoo.configuration import REGISTRY, RUNS, Configuration, card, load, variant
from zoo.trainer import snapshot

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


def epochs(configuration: Configuration, step: int) -> float:
    """Passes over the training images after `step` steps."""
    return round(step * configuration.budget.batch / len(emoji32.load("train").labels), 3)


def checkpoint_card(name: str, configuration: Configuration, digests: Mapping[int, str]) -> dict[str, Any]:
    """The card of a training's snapshots, given the SHA-256 of each by step."""
    method, final = card(configuration).method, variant(name, configuration)
    preset = configuration.curve
    return {
        "method": {
            **method.model_dump(exclude_none=True),
            "id": f"{name}-training",
            "name": f"{method.name}, training of {name}",
        },
        "variants": {
            f"{name}-{step:06d}": {
                "summary": f"{name} after {step:,} of {configuration.budget.steps:,} steps; zoo/ trains the weights.",
                **final.model_dump(include={"dataset", "resolution", "classes", "quantise", "network"}),
                "default_preset": preset,
                "weights": {"file": f"{name}-{step:06d}.safetensors", "sha256": digest, "licence": "Apache-2.0"},
                "checkpoint": {"training": name, "epochs": epochs(configuration, step)},
                "presets": {preset: final.presets[preset]},
            }
            for step, digest in digests.items()
        },
    }


def write_checkpoint_card(name: str, configuration: Configuration, digests: Mapping[int, str]) -> MethodCard:
    """Write ``registry/NAME-training.toml`` and read it back."""
    path = REGISTRY / f"{name}-training.toml"
    head = f"# Written by `uv run python -m zoo.measure {name}`.\n"
    content = checkpoint_card(name, configuration, digests)
    write_atomically(path, (head + tomli_w.dumps(content)).encode())
    return load_card(path)


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


def measure(name: str, settings: Settings) -> list[Record]:
    """A record for each snapshot of one training.

    Raises `UsageError` when there is none, and `ConfigError` for a model whose card does not know it.
    """
    configuration = load(name)
    found = {step: WeightsOnDisk(path, digest_file(path)) for step, path in snapshots(name, configuration).items()}
    written = write_checkpoint_card(name, configuration, {step: weights.sha256 for step, weights in found.items()})
    runs = [make_run(written, variant_name, configuration.curve, {}) for variant_name in written.variants]
    return records(zip(runs, found.values(), strict=True), settings)


def default_settings() -> Settings:
    """Results, cache and registry where genbench looks for them."""
    return Settings(results=results_folder(None), cache=cache_folder(None), registry=data_folders("registry", None))


def main(arguments: Sequence[str]) -> int:
    """Parse the command line and measure; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m zoo.measure", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="a configuration beside this file, without .toml")
    try:
        for name in parser.parse_args(arguments).names:
            measure(name, default_settings())
    except GenbenchError as error:
        console.error(str(error), error.hint)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
