"""Single images sampled again: image *i* follows from its seed, its label and the run, so none has to be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genbench.cards import load_cards, variants
from genbench.errors import ConfigError
from genbench.images.quantise import to_uint8
from genbench.methods.loading import find_weights, identity, load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import Run, make_run
from genbench.report.html.settings import Settings


def remake(
    row: Mapping[str, Any], seeds: Sequence[int], labels: Sequence[int], settings: Settings
) -> list[npt.NDArray[np.uint8]]:
    """Images of a record, each (H, W, 3), by seed and label.

    Args:
        row: ``run, variant, preset, given, run_digest`` of the table `runs`.
        seeds: of the images.
        labels: of the images; zeros for an unconditional model.
        settings: where cards and weights are.

    Raises `ConfigError` where the card or its weights are no longer those that the record is of, and what loading and
    sampling raise.
    """
    run = _run(row, settings)
    weights = find_weights(run, cache=settings.cache, registry=settings.registry)
    if identity(run, weights) != row["run_digest"]:
        raise ConfigError(f"{row['run']}: the card or its weights are not those of the record", hint="measure it again")
    sampler = load_sampler(run, weights, settings.device)
    noise = SeededNoise(seeds, settings.device)
    floats = sampler.sample(noise, torch.tensor(labels, dtype=torch.int64, device=settings.device))
    pixels = to_uint8(floats, run.variant.quantise).permute(0, 2, 3, 1).cpu().numpy()
    return list(pixels)


def _run(row: Mapping[str, Any], settings: Settings) -> Run:
    known = variants(load_cards(settings.registry))
    preset = row["preset"].partition("+")[0]
    if row["variant"] not in known or preset not in known[row["variant"]][1].presets:
        raise ConfigError(
            "images cannot be sampled again: no card has this variant and preset",
            hint="name its folder with --registry",
        )
    return make_run(known[row["variant"]][0], row["variant"], preset, row["given"])
