"""Whether a card is what it says: its presets, its network's official keys, and that it can be sampled from.

Nothing is downloaded: networks are built without memory, and sampled from at a small size with random weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from genbench.cards import DecoderCard, MethodCard
from genbench.errors import ConfigError, GenbenchError
from genbench.methods.catalog import Family, Sampler
from genbench.methods.families import build_sampler, import_object, is_foreign
from genbench.methods.latents.decoder import PixelDecoder
from genbench.methods.latents.families import DECODERS, build_decoder
from genbench.methods.manifests import Manifest, load_manifest
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import Run, make_run, with_companions
from genbench.schema import check

TOLERANCE = 1e-4
"""Largest difference between an image alone and in a batch of two, over max(1, largest value)."""

_SEED = 77


class Finding(NamedTuple):
    """The answer of one check."""

    variant: str
    check: str
    passed: bool | None
    """None where there was nothing to check."""
    detail: str


def validate(card: MethodCard, manifests: Sequence[Path]) -> Iterator[Finding]:
    """Every check of every variant of a card that has been loaded, whose schema is therefore right.

    `manifests` are the folders where official keys and shapes are looked up, first one first.
    """
    for name, variant in card.variants.items():
        checks: list[tuple[str, Callable[[], str | None]]] = [
            ("presets", partial(_presets, card, name)),
            ("keys", partial(_keys, card, name, None, manifests)),
            *((f"{part}'s keys", partial(_keys, card, name, part, manifests)) for part in variant.companions),
            ("sample", partial(_sample, card, name)),
        ]
        for title, answer in checks:
            yield _finding(name, title, answer)


def validate_decoder(card: DecoderCard, manifests: Sequence[Path]) -> Finding:
    """Whether a decoder's network takes exactly the official keys and shapes; its schema is right, as it was loaded."""
    return _finding(card.id, "keys", partial(_decoder_keys, card, manifests))


def _finding(name: str, title: str, answer: Callable[[], str | None]) -> Finding:
    try:
        detail = answer()
    except GenbenchError as error:
        return Finding(name, title, False, str(error))
    return Finding(name, title, None if detail is None else True, detail or "nothing to check")


def _runs(card: MethodCard, name: str) -> list[Run]:
    return [make_run(card, name, preset, {}) for preset in card.variants[name].presets]


def _presets(card: MethodCard, name: str) -> str:
    """Presets resolve, and no two of them are one under two names."""
    found: dict[str, str] = {}
    for run in _runs(card, name):
        other = found.setdefault(run.digest(None), run.preset)
        if other != run.preset:
            raise ConfigError(
                f"presets {other} and {run.preset} have the same settings", hint="remove one, or correct its settings"
            )
    return f"{len(found)} with a digest each"


def _keys(card: MethodCard, name: str, companion: str | None, folders: Sequence[Path]) -> str | None:
    """The network without its companions, or one of these, has the official keys and shapes, but for those that its
    family drops.
    """
    variant = card.variants[name]
    given = variant.companions[companion] if companion else variant
    if given.manifest is None:
        return None
    family = _runs(card, name)[0].family
    if family.module is None:
        raise ConfigError(f"{family.sampler} names no network to compare with a manifest", hint="leave manifest out")
    manifest = _manifest(given.manifest, folders)
    expected = manifest.sampled
    module = _on_meta(family.module, with_companions(variant, variant.companions), name)
    if companion:
        module = module.get_submodule(companion)
    else:
        for other in variant.companions:
            delattr(module, other)
    built = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    if built != expected:
        odd = sorted(k for k in expected.keys() ^ built.keys()) or [k for k in built if built[k] != expected[k]]
        raise ConfigError(
            f"{len(odd)} keys or shapes are not those of {given.manifest}: {', '.join(odd[:5])}",
            hint="correct the network's arguments in the card",
        )
    parameters = sum(p.numel() for p in module.parameters())
    return f"{len(built)} keys of {given.manifest}, {parameters:,} parameters"


def _decoder_keys(card: DecoderCard, folders: Sequence[Path]) -> str | None:
    """Loaded as from an official file, whose tensors take no memory here."""
    if card.manifest is None:
        return None
    manifest = _manifest(card.manifest, folders)
    official = {key: torch.empty(shape, device="meta") for key, shape in manifest.keys.items()}
    parameters = build_decoder(card, official, torch.device("meta")).parameters
    if parameters != manifest.parameters:
        raise ConfigError(
            f"{parameters:,} parameters, {card.manifest} has {manifest.parameters:,}",
            hint="correct the network's arguments in the decoder's file",
        )
    return f"{len(official)} keys of {card.manifest}, {parameters:,} parameters"


def _manifest(name: str, folders: Sequence[Path]) -> Manifest:
    for folder in folders:
        path = folder / f"{name}.json"
        if path.is_file():
            return load_manifest(path)
    raise ConfigError(f"no manifest {name}.json", hint=f"put it in {folders[0] if folders else 'registry/manifests'}")


def _on_meta(path: str, network: Mapping[str, Any], where: str) -> nn.Module:
    with torch.device("meta"):
        module: nn.Module = import_object(path, where)(**network)
    return module


def _sample(card: MethodCard, name: str) -> str | None:
    """Two images of a small random network, together and one by one, with the default preset.

    Of a class that is not genbench's, with the card's network, where it takes neither weights nor prompts.
    """
    run = make_run(card, name, card.variants[name].default_preset, {})
    family, variant = run.family, run.variant
    if family.module is not None:
        network = {**variant.network, **family.tiny}
        sampler = _tiny_sampler(run, network, random_state(_on_meta(family.module, network, name)))
    elif is_foreign(family) and not variant.weights and not variant.prompted:
        sampler = _tiny_sampler(run, variant.network, None)
    else:
        return None
    labels = torch.tensor([0, max(run.variant.classes - 1, 0)])
    together = sampler.sample(SeededNoise([0, 1]), labels)
    alone = torch.cat([sampler.sample(SeededNoise([seed]), labels[seed : seed + 1]) for seed in (0, 1)])
    if not bool(together.isfinite().all()):
        raise ConfigError("two images of a small random network are not finite", hint="look at the sampler's settings")
    difference = float((together - alone).abs().max()) / max(1.0, float(alone.abs().max()))
    if difference > TOLERANCE:
        raise ConfigError(
            f"an image differs by {difference:.1e} between a batch of two and one of its own",
            hint="draw from `noise` only, and do nothing across the batch",
        )
    return f"two images of {tuple(together.shape[1:])}, alone and together within {difference:.0e}"


def _tiny_sampler(run: Run, network: Mapping[str, Any], state: dict[str, Tensor] | None) -> Sampler:
    return build_sampler(
        run.family,
        f"{run.method}.toml",
        network=network,
        settings={**run.settings, "dtype": "float32", "compile": False} if run.family.settings else run.settings,
        state=state,
        device=torch.device("cpu"),
        decoder=_tiny_tokenizer(run.family),
    )


def _tiny_tokenizer(family: Family) -> PixelDecoder | None:
    """What the family's tiny network samples the codes of, with random weights."""
    if family.tokenizer is None:
        return None
    chosen = DECODERS[family.tokenizer]
    if chosen.module is None:
        raise ConfigError(
            f"decoder family {family.tokenizer!r} names no network",
            hint="name it in genbench/methods/latents/families.py",
        )
    network = check(import_object(chosen.network, family.tokenizer), chosen.tiny, f"tiny {family.tokenizer}")
    with torch.device("meta"):
        module: nn.Module = import_object(chosen.module, family.tokenizer)(network)
    built: PixelDecoder = import_object(chosen.decoder, family.tokenizer)(
        network, random_state(module), torch.device("cpu")
    )
    return built


def random_state(module: nn.Module) -> dict[str, Tensor]:
    """Seeded weights for a module on the meta device, small enough for any depth and none of them zero."""
    generator = torch.Generator().manual_seed(_SEED)
    state = {}
    for key, value in module.state_dict().items():
        if not value.is_floating_point():
            state[key] = torch.zeros(value.shape, dtype=value.dtype)
            continue
        z = torch.randn(value.shape, generator=generator)
        if value.ndim > 1:
            state[key] = z / max(value[0].numel(), 1) ** 0.5
        else:
            state[key] = 0.1 * z + (1.0 if key.endswith(("weight", "running_var")) else 0.0)
    return state
