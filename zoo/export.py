"""Put a trained model into the registry:  uv run python -m zoo.export NAME

Writes the last EMA weights as float16 safetensors to ``registry/weights/NAME.safetensors``, prints their SHA-256, which
belongs into the card's variant, and what the rounding does to FD: the same 1,000 seeds from float32 and float16 weights
with the variant's default preset.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from safetensors.torch import load_file, save

from genbench import console
from genbench.digest import digest_file
from genbench.errors import GenbenchError
from genbench.files import write_atomically
from genbench.methods.loading import WeightsOnDisk
from genbench.methods.runs import make_run
from genbench.records import MeasurementFacts
from genbench.runner import Settings
from zoo.configuration import REGISTRY, card, load, variant
from zoo.measure import default_settings, records, snapshots


def export(name: str) -> WeightsOnDisk:
    """Write the weights of the last snapshot in float16 to the registry."""
    last = max(snapshots(name, load(name)).values())
    half = {key: value.half() for key, value in load_file(last).items()}
    target = REGISTRY / "weights" / f"{name}.safetensors"
    write_atomically(target, save(half))
    return WeightsOnDisk(target, digest_file(target))


def rounding(name: str, exported: WeightsOnDisk, settings: Settings) -> Iterator[tuple[MeasurementFacts, float]]:
    """Each metric of the exported weights, and by how much it is above that of the weights as they were trained."""
    configuration = load(name)
    run = make_run(card(configuration), name, variant(name, configuration).default_preset, {})
    last = max(snapshots(name, configuration).values())
    with tempfile.TemporaryDirectory() as folder:
        aside = replace(settings, results=Path(folder))
        trained, rounded = records([(run, WeightsOnDisk(last, digest_file(last))), (run, exported)], aside)
    for before, after in zip(trained.measurements, rounded.measurements, strict=True):
        yield after, after.value - before.value


def main(arguments: Sequence[str]) -> int:
    """Export, measure, print; the exit code."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    (name,) = arguments
    try:
        exported = export(name)
        print(f'{exported.path.name}: {exported.bytes:,} bytes, sha256 = "{exported.sha256}"')
        for after, change in rounding(name, exported, default_settings()):
            print(f"{after.metric}: {after.value:.3f} (standard error {after.stderr:.3f}), {change:+.4f} by float16")
    except GenbenchError as error:
        console.error(str(error), error.hint)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
