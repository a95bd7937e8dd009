"""Runs: a variant with a preset, its settings resolved, selected by globs over ``variant@preset``. Imports no torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from genbench.cards import Companion, Decoder, MethodCard, Scalar, Variant, Weights, variants
from genbench.digest import digest
from genbench.errors import ConfigError, UsageError, unknown
from genbench.methods.catalog import Family
from genbench.methods.families import family, network_model, settings_model
from genbench.methods.settings import NetworkSettings
from genbench.schema import Strict, check_typed

_DECODER = "decoder."
"""What ``--set`` calls the keys of a variant's decoder by."""


@dataclass(frozen=True)
class Run:
    """One thing to sample: what is named ``variant@preset``."""

    method: str
    variant_name: str
    preset: str
    variant: Variant
    family: Family
    given: Mapping[str, Scalar]
    """Settings as the card and ``--set`` gave them."""
    settings: Mapping[str, Any]
    """Settings with the family's defaults filled in."""
    companions: Mapping[str, Companion]
    """The variant's further networks that these settings evaluate."""

    @property
    def name(self) -> str:
        """``variant@preset``."""
        return f"{self.variant_name}@{self.preset}"

    @property
    def network(self) -> dict[str, Any]:
        """Arguments of the network, with those of its companions."""
        return with_companions(self.variant, self.companions)

    def digest(
        self,
        weights_sha256: str | None,
        decoder: str | None = None,
        companions_sha256: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Identity of everything that can change a pixel; names, summaries and claims are left out.

        `decoder` is the identity of the latent decoder, which covers its files; `companions_sha256` are the digests of
        the files of the companions, by their names.
        """
        companions = {
            name: {"weights": sha256, **_part_of(self.companions[name].weights)}
            for name, sha256 in companions_sha256.items()
        }
        return digest(
            {
                "sampler": self.family.sampler,
                "version": self.family.version,
                "network": self.network,
                "weights": weights_sha256,
                **({"companions": companions} if companions else {}),
                **_part_of(self.variant.weights),
                "decoder": decoder,
                "quantise": self.variant.quantise,
                "resolution": self.variant.resolution,
                "settings": dict(self.settings),
            }
        )


def with_companions(variant: Variant, companions: Mapping[str, Companion]) -> dict[str, Any]:
    """Arguments of a variant's network that has these companions."""
    return {**variant.network, **{name: companion.network for name, companion in companions.items()}}


def _part_of(weights: Weights | None) -> dict[str, str]:
    """Which tensors of a weight file are used, where the card says so."""
    part = {"entry": weights.entry, "prefix": weights.prefix} if weights else {}
    return {key: value for key, value in part.items() if value is not None}


def parse_overrides(options: Sequence[str]) -> dict[str, Scalar]:
    """``key=value`` texts as settings; values are read as JSON where they are JSON, else as text.

    Raises `UsageError` for a text without ``=``, and for a value that is a list, an object, NaN or infinity.
    """
    overrides: dict[str, Scalar] = {}
    for option in options:
        key, equals, text = option.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {option!r} is not key=value", hint="for example --set steps=50")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if isinstance(value, list | dict) or (isinstance(value, float) and not math.isfinite(value)):
            raise UsageError(
                f"--set {option!r}: a setting is one value", hint="give a finite number, a word, true or null"
            )
        overrides[key.strip()] = value
    return overrides


def make_run(card: MethodCard, variant_name: str, preset: str, overrides: Mapping[str, Scalar]) -> Run:
    """The run of one preset with ad-hoc changes; changes give the preset a derived name.

    A change of ``decoder.KEY`` is one of the variant's decoder: ``decoder.tile`` saves memory.

    Raises `ConfigError` when a setting or a network argument is unknown to the family or out of its range.
    """
    stated, where = card.variants[variant_name], f"{card.method.id}.toml: variants.{variant_name}"
    variant = _decoded_otherwise(stated, overrides, where)
    chosen = family(card.sampler, where)
    sampled = {key: value for key, value in overrides.items() if not key.startswith(_DECODER)}
    given = {**variant.presets[preset], **sampled}
    network = _network(variant, chosen, where)
    model = settings_model(chosen, where)
    place = f"{where}.presets.{preset}" + (" with --set" if sampled else "")
    checked = _settings(model, given, network, place) if model else None
    settings = checked.model_dump(mode="json") if checked else dict(given)
    evaluated = not isinstance(checked, NetworkSettings) or checked.companions
    decoder = stated.decoder.model_dump() if stated.decoder else {}
    before = {**stated.presets[preset], **{f"{_DECODER}{key}": value for key, value in decoder.items()}}
    changed = {k: v for k, v in overrides.items() if before.get(k, ...) != v}
    name = preset + "".join(f"+{k}={_text(v)}" for k, v in sorted(changed.items()))
    return Run(
        method=card.method.id,
        variant_name=variant_name,
        preset=name,
        variant=variant,
        family=chosen,
        given={**given, **overrides},
        settings=settings,
        companions=variant.companions if evaluated else {},
    )


def _decoded_otherwise(variant: Variant, overrides: Mapping[str, Scalar], where: str) -> Variant:
    """The variant with its decoder as changed by ``decoder.KEY``."""
    changes = {key.removeprefix(_DECODER): value for key, value in overrides.items() if key.startswith(_DECODER)}
    if not changes:
        return variant
    if variant.decoder is None:
        raise ConfigError(f"{where}: has no decoder to change", hint=f"leave {_DECODER}{next(iter(changes))} out")
    changed = {**variant.decoder.model_dump(), **changes}
    return variant.model_copy(update={"decoder": check_typed(Decoder, changed, f"{where}.decoder with --set")})


def _network(variant: Variant, chosen: Family, where: str) -> Mapping[str, Any]:
    """Arguments of the network and of every companion, with the defaults filled in where the family has a model."""
    given = with_companions(variant, variant.companions)
    arguments = network_model(chosen, where)
    if arguments is None:
        return given
    place = f"{where}.network" + (" with its companions" if variant.companions else "")
    return check_typed(arguments, given, place).model_dump()


def _settings(model: type[Strict], given: Mapping[str, Scalar], network: Mapping[str, Any], where: str) -> Strict:
    """Settings with the defaults filled in, of values that the network allows."""
    settings = check_typed(model, given, where)
    if isinstance(settings, NetworkSettings):
        try:
            settings.fits(network)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}", hint=error.hint) from error
    return settings


def _text(value: Scalar) -> str:
    return (value if isinstance(value, str) else json.dumps(value)).replace("/", "_")


def select(
    cards: Mapping[str, MethodCard],
    patterns: Sequence[str],
    overrides: Mapping[str, Scalar],
    *,
    dataset: str,
    resolution: int,
) -> list[Run]:
    """The runs that the patterns name, in their order and without repeats.

    A pattern is a glob over ``variant@preset``; without ``@`` it is one over variants and means their default preset.
    Globs pass over variants of another data set or resolution.

    Raises `UsageError` when a pattern matches nothing, or names a variant that the data set does not fit.
    """
    chosen: dict[str, Run] = {}
    known = variants(cards)
    for pattern in patterns:
        matches = _matches(known, pattern)
        if not matches:
            raise _no_match(cards, known, pattern)
        fitting = [(v, p) for v, p in matches if _fits(known[v][1], dataset, resolution)]
        if not fitting:
            variant = known[matches[0][0]][1]
            raise UsageError(
                f"{matches[0][0]} makes {variant.dataset} images of {variant.resolution} px, "
                f"the suite asks for {dataset} of {resolution} px",
                hint="`genbench list suites` shows the suites of each data set",
            )
        for variant_name, preset in fitting:
            run = make_run(known[variant_name][0], variant_name, preset, overrides)
            chosen.setdefault(run.name, run)
    return list(chosen.values())


def _matches(known: Mapping[str, tuple[MethodCard, Variant]], pattern: str) -> list[tuple[str, str]]:
    variant_glob, at, preset_glob = pattern.partition("@")
    return [
        (name, preset)
        for name, (_, variant) in known.items()
        if fnmatchcase(name, variant_glob)
        for preset in (variant.presets if at else [variant.default_preset])
        if not at or fnmatchcase(preset, preset_glob)
    ]


def _fits(variant: Variant, dataset: str, resolution: int) -> bool:
    return variant.dataset == dataset and variant.resolution == resolution


def _no_match(
    cards: Mapping[str, MethodCard], known: Mapping[str, tuple[MethodCard, Variant]], pattern: str
) -> UsageError:
    variant_glob, _, preset_glob = pattern.partition("@")
    for name, (_, variant) in known.items():
        if fnmatchcase(name, variant_glob):
            return unknown("preset", preset_glob, variant.presets, where=f"variant {name}")
    if card := cards.get(variant_glob):
        if card.method.unavailable is None:
            return UsageError(f"{pattern!r} is a method, not a run", hint=f"its variants: {', '.join(card.variants)}")
        return card.refusal()
    return unknown("method", variant_glob, {*known, *cards}, lister="genbench list methods")
