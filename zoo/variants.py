"""What the registry says of the zoo's models: the variant of a model, and those of the snapshots of its training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from genbench.cards import MethodCard, load_card
from genbench.errors import ConfigError
from genbench.files import write_atomically
from genbench.images import emoji32
from zoo.configuration import REGISTRY, Model, Tokenizer, Training, card, card_path

LICENCE = "Apache-2.0"


def epochs(configuration: Training, step: int) -> float:
    """Passes over the training images after `step` steps, to three decimals."""
    return round(step * configuration.budget.batch / len(emoji32.load("train").labels), 3)


def final_variant(name: str, configuration: Model, sha256: str) -> dict[str, Any]:
    """A trained model as its card says it; `sha256` is of the exported weights."""
    return _variant(
        configuration,
        summary=configuration.summary,
        weights=(name, sha256),
        checkpoint=(name, configuration.budget.steps),
        presets=configuration.presets,
        default_preset=configuration.default_preset,
    )


def add_to_card(name: str, configuration: Model, sha256: str) -> None:
    """Append the variant of a trained model to its method's card, if the card does not have it.

    Raises `ConfigError` when the card has it with other weights.
    """
    path = card_path(configuration)
    known = card(configuration).variants.get(name)
    if known is None:
        block = tomli_w.dumps({"variants": {name: final_variant(name, configuration, sha256)}})
        write_atomically(path, f"{path.read_text(encoding='utf-8')}\n{block}".encode())
    elif known.weights is None or known.weights.sha256 != sha256:
        raise ConfigError(
            f"{path}: variants.{name}.weights are not those that were exported",
            hint=f'write sha256 = "{sha256}" there if the model was trained anew',
        )


def write_decoder(name: str, configuration: Tokenizer, sha256: str) -> None:
    """Write ``registry/decoders/NAME.toml``."""
    described = {
        "id": name,
        "title": configuration.title,
        "licence": LICENCE,
        "family": configuration.decoder_family,
        "network": configuration.network,
        "weights": _weights(name, sha256),
    }
    write_atomically(REGISTRY / "decoders" / f"{name}.toml", tomli_w.dumps(described).encode())


def _weights(name: str, sha256: str) -> dict[str, str]:
    return {"file": f"{name}.safetensors", "sha256": sha256, "licence": LICENCE}


def write_checkpoints(name: str, configuration: Model, digests: Mapping[int, str]) -> MethodCard:
    """Write ``registry/NAME-training.toml``, the snapshots of a training by their steps, and read it back.

    `digests` are the SHA-256 of their weights, by step.
    """
    method = card(configuration).method.model_dump(exclude_none=True)
    method |= {"id": f"{name}-training", "name": f"{method['name']}, training of {name}"}
    curve = configuration.curve
    variants = {
        snapshot: _variant(
            configuration,
            summary=f"{name} after {step:,} of {configuration.budget.steps:,} steps, made by zoo/.",
            weights=(snapshot, digests[step]),
            checkpoint=(name, step),
            presets={curve: configuration.presets[curve]},
            default_preset=curve,
        )
        for snapshot, step in ((f"{name}-{step:06d}", step) for step in sorted(digests))
    }
    path = REGISTRY / f"{name}-training.toml"
    head = f"# Written by `uv run python -m zoo.measure {name}`.\n"
    write_atomically(path, (head + tomli_w.dumps({"method": method, "variants": variants})).encode())
    return load_card(path)


def _variant(
    configuration: Model,
    *,
    summary: str,
    weights: tuple[str, str],
    checkpoint: tuple[str, int],
    presets: Mapping[str, Any],
    default_preset: str,
) -> dict[str, Any]:
    """As a card says it; `weights` are name and SHA-256, `checkpoint` the training and its steps until then."""
    training, step = checkpoint
    return {
        "summary": summary,
        "dataset": "emoji32",
        "resolution": emoji32.SIDE,
        "classes": len(emoji32.CLASSES),
        "quantise": "round",
        "default_preset": default_preset,
        "network": configuration.network,
        "weights": _weights(*weights),
        "checkpoint": {"training": training, "epochs": epochs(configuration, step)},
        **({"decoder": {"name": configuration.decoder}} if configuration.decoder else {}),
        "presets": dict(presets),
    }


def weights_path(name: str) -> Path:
    """Where the exported weights lie."""
    return REGISTRY / "weights" / f"{name}.safetensors"
