"""From a run to a sampler with its weights in place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from genbench.cards import Weights
from genbench.digest import digest_file
from genbench.errors import UsageError, WeightsError
from genbench.methods.families import Sampler, SamplerClass, import_object, settings_model
from genbench.methods.runs import Run
from genbench.weights import WeightFile, load_tensors, locate


class WeightsOnDisk(NamedTuple):
    """A run's weight file, found and checked."""

    path: Path
    sha256: str


def find_weights(run: Run, *, cache: Path, registry: Sequence[Path]) -> WeightsOnDisk | None:
    """The run's weight file, fetched if need be; none if its variant names no file.

    Raises `WeightsError` when it is nowhere, or is not the published one, and `UsageError`, before anything is fetched,
    for a run of latents.
    """
    if run.variant.decoder is not None:
        raise UsageError(
            f"{run.name} samples latents, and genbench has no latent decoders yet",
            hint="decode with the authors' code and measure the images with `genbench score`",
        )
    weights = run.variant.weights
    if weights is None:
        return None
    spec = WeightFile(file=weights.file, sha256=weights.sha256, url=weights.url, licence=weights.licence)
    path = locate(spec, cache=cache, extra_dirs=[folder / "weights" for folder in registry])
    return WeightsOnDisk(path, weights.sha256 or digest_file(path))


def load_sampler(run: Run, weights: WeightsOnDisk | None, device: str) -> Sampler:
    """Build the run's sampler on `device`.

    Raises `WeightsError` when the file has no such entry or prefix as the card names, or does not fit the network.
    """
    where = f"{run.method}.toml"
    source = run.variant.weights
    model = settings_model(run.family, where)
    build: SamplerClass = import_object(run.family.sampler, where)
    return build(
        network=run.variant.network,
        settings=model.model_validate(run.settings) if model else dict(run.settings),
        state=_state(weights.path, source) if weights and source else None,
        device=torch.device(device),
    )


def _state(path: Path, source: Weights) -> dict[str, Tensor]:
    state = load_tensors(path, key=source.entry)
    if source.prefix is None:
        return state
    kept = {key.removeprefix(source.prefix): value for key, value in state.items() if key.startswith(source.prefix)}
    if not kept:
        raise WeightsError(
            f"{path}: no key begins with {source.prefix!r} (the first is {next(iter(state))!r})",
            hint="correct `prefix` under [variants.<name>.weights], or the file",
        )
    return kept
