"""Put trained models into the registry:  uv run python -m zoo.export NAME…

Writes the last EMA weights as float16 safetensors to ``registry/weights/NAME.safetensors``, adds the variant to its
method's card (a tokenizer gets its file in ``registry/decoders``), and prints what the rounding does to every metric of
suite ``quick``: the same seeds from float32 and float16 weights with the variant's default preset.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file, save

from genbench.cards import Weights
from genbench.digest import digest_file
from genbench.files import write_atomically
from genbench.methods.runs import make_run
from genbench.records import MeasurementFacts
from genbench.runner import Settings
from zoo.command import for_each
from zoo.configuration import Model, Tokenizer, Training, as_model, card
from zoo.measure import default_settings, records, with_snapshots
from zoo.trainer import trained
from zoo.variants import add_to_card, weights_path, write_decoder

SUITE = "quick"


class Exported(NamedTuple):
    """A weight file of the registry."""

    path: Path
    sha256: str


def export(name: str, configuration: Training) -> Exported:
    """Write a trained network's weights in float16, and the variant to its card or the tokenizer's file.

    Raises as `trained` and `add_to_card` do.
    """
    half = {
        key: value.half() if value.is_floating_point() else value
        for key, value in load_file(trained(name, configuration)).items()
    }
    target = weights_path(name)
    write_atomically(target, save(half))
    exported = Exported(target, digest_file(target))
    if isinstance(configuration, Tokenizer):
        write_decoder(name, configuration, exported.sha256)
    else:
        add_to_card(name, as_model(name, configuration), exported.sha256)
    return exported


def rounding(name: str, configuration: Model, settings: Settings) -> Iterator[tuple[MeasurementFacts, float]]:
    """Each metric of the exported weights, and by how much it is above that of the weights as they were trained."""
    half = make_run(card(configuration), name, configuration.default_preset, {})
    path = trained(name, configuration)
    full = replace(half, variant=half.variant.model_copy(update={"weights": Weights(file=path.name)}))
    with tempfile.TemporaryDirectory() as folder:
        aside = replace(with_snapshots(settings, name), results=Path(folder))
        exact, rounded = (records(SUITE, [run], aside)[0] for run in (full, half))
    for before, after in zip(exact.measurements, rounded.measurements, strict=True):
        yield after, after.value - before.value


def export_and_compare(name: str, configuration: Training, settings: Settings) -> None:
    """Export one network, and print its size and, for a model, what the rounding does."""
    exported = export(name, configuration)
    print(f"{exported.path.name}: {exported.path.stat().st_size:,} bytes")
    if isinstance(configuration, Model):
        for after, change in rounding(name, configuration, settings):
            print(f"{after.metric}: {after.value:.3f}, standard error {after.stderr:.3f}; {change:+.4f} by float16")


def main(arguments: Sequence[str]) -> int:
    """Export one by one; the exit code."""
    settings = default_settings()
    return for_each(partial(export_and_compare, settings=settings), arguments, module="zoo.export", about=__doc__)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
