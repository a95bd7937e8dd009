"""FD of a network's samples while it is trained, in both embedded feature spaces."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from genbench.engine.inputs import SampledImages
from genbench.evaluation import Extraction, parse_metrics
from genbench.images.datasets import training_labels
from genbench.methods.sit.sampler import SiTSampler
from genbench.methods.sit.settings import SiTSettings
from genbench.metrics.measure import Measurement, measure_all
from genbench.paths import cache_folder, data_folders
from genbench.plan import labels
from genbench.references import Shelf

METRICS = ("fd@inception-tf", "fd@effnet-lite0")
BATCH = 64


@cache
def _extraction() -> Extraction:
    spaces = list(parse_metrics(METRICS).spaces.values())
    return Extraction(spaces, device="cpu", cache=cache_folder(None))


def measure(
    variant: Mapping[str, Any], preset: Mapping[str, Any], state: dict[str, Tensor], images: int
) -> dict[str, Measurement]:
    """FD of `images` samples of the weights `state` under one preset, by metric id.

    `variant` is the card's; seeds are 0 to ``images - 1`` and labels empirical, as in the embedded suites, so that
    values of one network at several times, or of two copies of its weights, are paired.
    """
    sampler = SiTSampler(
        network=variant["network"], settings=SiTSettings(**preset), state=state, device=torch.device("cpu")
    )
    chosen = labels(
        "empirical",
        range(images),
        classes=variant["classes"],
        training_labels=training_labels(variant["dataset"]),
    )
    sampled = SampledImages(
        sampler,
        first_seed=0,
        labels=chosen,
        quantise=variant["quantise"],
        resolution=variant["resolution"],
        device="cpu",
    )
    questions, extraction = parse_metrics(METRICS), _extraction()
    parts = [extraction(batch.pixels) for batch in sampled.batches(0, images, BATCH)]
    features = {name: torch.cat([part[name] for part in parts]).numpy() for name in questions.spaces}
    references = Shelf(data_folders("registry", None), cache_folder(None)).load("emoji32-train", questions.spaces)
    return measure_all(questions.metrics, features, references.by_space)
