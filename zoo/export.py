"""Put trained models into the registry:  uv run python -m zoo.export NAME…

Writes the last EMA weights as float16 safetensors to ``registry/weights/NAME.safetensors``, adds the variant to its
method's card, and prints what the rounding does to FD: the same 1,000 seeds from float32 and float16 weights with the
variant's default preset.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from safetensors.torch import load_file, save

from genbench.digest import digest_file
from genbench.files import write_atomically
from genbench.methods.loading import WeightsOnDisk
from genbench.methods.runs import make_run
from genbench.records import MeasurementFacts
from genbench.runner import Settings
from zoo.command import for_each
from zoo.configuration import Configuration, card
from zoo.measure import default_settings, records
from zoo.trainer import trained
from zoo.variants import add_to_card, weights_path


def export(name: str, configuration: Configuration) -> WeightsOnDisk:
    """Write a trained model's weights in float16, and the variant to its card.

    Raises as `trained` and `add_to_card` do.
    """
    half = {key: value.half() for key, value in load_file(trained(name, configuration)).items()}
    target = weights_path(name)
    write_atomically(target, save(half))
    exported = WeightsOnDisk(target, digest_file(target))
    add_to_card(name, configuration, exported.sha256)
    return exported


def rounding(
    name: str, configuration: Configuration, exported: WeightsOnDisk, settings: Settings
) -> Iterator[tuple[MeasurementFacts, float]]:
    """Each metric of the exported weights, and by how much it is above that of the weights as they were trained."""
    run = make_run(card(configuration), name, configuration.default_preset, {})
    before = trained(name, configuration)
    with tempfile.TemporaryDirectory() as folder:
        aside = replace(settings, results=Path(folder))
        full, half = records([(run, WeightsOnDisk(before, digest_file(before))), (run, exported)], aside)
    for exact, rounded in zip(full.measurements, half.measurements, strict=True):
        yield rounded, rounded.value - exact.value


def export_and_compare(name: str, configuration: Configuration, settings: Settings) -> None:
    """Export one model, and print its size and what the rounding does."""
    exported = export(name, configuration)
    print(f"{exported.path.name}: {exported.bytes:,} bytes")
    for after, change in rounding(name, configuration, exported, settings):
        print(f"{after.metric}: {after.value:.3f}, standard error {after.stderr:.3f}; {change:+.4f} by float16")


def main(arguments: Sequence[str]) -> int:
    """Export one by one; the exit code."""
    settings = default_settings()
    return for_each(partial(export_and_compare, settings=settings), arguments, module="zoo.export", about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
