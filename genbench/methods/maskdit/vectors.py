"""MaskDiT against what the authors' code computed (see `genbench.methods.vectors`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch

from genbench.methods.edm.vectors import sampler_runs, sampler_settings
from genbench.methods.maskdit.sampler import MaskDiTSampler
from genbench.methods.maskdit.settings import MaskDiTNetwork, MaskDiTSettings
from genbench.methods.vectors import Comparison, Vectors, compare
from genbench.schema import check


def replay(vectors: Vectors) -> Iterator[Comparison]:
    """The denoiser of a class and of none, and every sampler run; recorded labels are one-hot."""
    arguments, where = vectors.config["modules"]["model"], str(vectors.folder / "config.json")
    network = check(MaskDiTNetwork, arguments, f"{where}: modules.model").model_dump()

    def sampler(run: Mapping[str, Any], where: str) -> MaskDiTSampler:
        settings = {**sampler_settings(run), "cfg": run.get("cfg_scale") or 1.0}
        return MaskDiTSampler(
            network=network,
            settings=check(MaskDiTSettings, settings, where),
            state=vectors.tensors("state"),
            device=torch.device("cpu"),
        )

    model, forward = sampler({}, where), vectors.tensors("forward")
    labels = forward["class_labels"].argmax(1)
    for name, classes in (("D_x", labels), ("D_x_null", torch.full_like(labels, network["num_classes"]))):
        with torch.inference_mode():
            computed = model.evaluate(forward["x"], forward["sigma"], classes)
        yield compare(name, computed, forward[name])
    yield from sampler_runs(vectors, sampler)
