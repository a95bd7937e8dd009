"""Configurations of the embedded zoo: one TOML file a model beside this one, with everything that moves a weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import nn

from genbench.cards import DecoderKind, MethodCard, Name, Scalar, Variant, load_card
from genbench.errors import ConfigError, UsageError, unknown
from genbench.methods.families import family, import_object, network_model
from genbench.methods.latents.families import DECODERS
from genbench.paths import first_of_each
from genbench.schema import Strict, check_typed, read_toml
from zoo.alignment import Alignment
from zoo.objectives import Objective

HERE = Path(__file__).parent
REGISTRY = HERE.parent / "registry"
RUNS = HERE / "runs"


class Optimiser(Strict):
    """AdamW with gradients clipped to a norm of 1."""

    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    schedule: Literal["constant", "cosine"]
    """After the linear warm-up: as it is, or half a cosine down to zero at the last step."""
    weight_decay: float = Field(ge=0)
    ema_decay: float = Field(ge=0, lt=1)
    """At most; (1 + step)/(10 + step) in the first steps."""
    label_dropout: float = Field(ge=0, lt=1)
    """Share of the labels that become the null class, for guidance."""
    autocast: Literal["float32", "bfloat16"]


class Budget(Strict):
    """How long is trained, and what is kept on the way."""

    seed: int = Field(ge=0)
    batch: int = Field(gt=0)
    steps: int = Field(gt=0)
    checkpoint_every: int = Field(gt=0)
    log_every: int = Field(gt=0)
    snapshots: tuple[float, ...] = Field(min_length=1)
    """Shares of the steps at which EMA weights are kept."""

    @property
    def marks(self) -> tuple[int, ...]:
        """The steps of the snapshots, ascending."""
        return tuple(sorted({round(share * self.steps) for share in self.snapshots}))


class Training(Strict):
    """How a network is trained."""

    described: ClassVar[frozenset[str]]
    """Settings that move no weight."""

    network: dict[str, Any]
    """Arguments of the family's network."""
    initial: str | None = None
    """The model of the zoo whose weights at the end of its training this one starts from; none draws them."""
    objective: Objective
    alignment: Alignment | None = None
    optimiser: Optimiser
    budget: Budget

    @property
    def identity(self) -> str:
        """What was set and moves a weight: a setting that is added later and left at its default changes nothing."""
        settings = self.model_dump(mode="json", exclude=set(self.described), exclude_defaults=True)
        return json.dumps(settings, sort_keys=True)


class Model(Training):
    """A variant of a card."""

    described = frozenset({"summary", "presets", "default_preset", "curve"})

    card: str
    """The method: ``registry/<card>.toml``."""
    summary: str
    """Of the variant."""
    decoder: Name | None = None
    """The tokenizer of the zoo whose codes are learned."""
    presets: dict[Name, dict[str, Scalar]] = Field(min_length=1)
    default_preset: Name
    curve: Name
    """The unguided preset that snapshots are measured with."""


class Tokenizer(Training):
    """An autoencoder with a codebook: ``registry/decoders/<name>.toml``."""

    described = frozenset({"title"})

    decoder_family: DecoderKind
    """As decoders' files name it."""
    title: str


def load(name: str) -> Training:
    """The configuration of that name, a `Model` or a `Tokenizer`.

    Raises `UsageError` for an unknown name, and `ConfigError` for a file that is not valid or says otherwise than the
    variant of the same name in its card, if there is one.
    """
    files = first_of_each([HERE], "*.toml")
    if name not in files:
        raise unknown("zoo configuration", name, files)
    data, where = read_toml(files[name]), str(files[name])
    if "decoder_family" in data:
        return check_typed(Tokenizer, data, where)
    model = check_typed(Model, data, where)
    check_against_card(name, model, card(model))
    return model


def as_model(name: str, configuration: Training) -> Model:
    """The same. Raises `UsageError` for a tokenizer."""
    if not isinstance(configuration, Model):
        raise UsageError(f"{name} is a tokenizer and makes no images", hint="name the model that learns its codes")
    return configuration


def card(configuration: Model) -> MethodCard:
    """The method's card."""
    return load_card(card_path(configuration))


def card_path(configuration: Model) -> Path:
    """Where the method's card lies."""
    return REGISTRY / f"{configuration.card}.toml"


def check_against_card(name: str, configuration: Model, card: MethodCard) -> None:
    """Raise `ConfigError` when the card has a variant `name` whose network or presets are others."""
    known = card.variants.get(name)
    if known is None:
        return
    where = f"registry/{card.method.id}.toml"
    for key, ours, theirs in (
        ("network", resolved_network(configuration, card), resolved_network(known, card)),
        ("presets", configuration.presets, known.presets),
    ):
        different = sorted(part for part in ours.keys() | theirs.keys() if ours.get(part) != theirs.get(part))
        if different:
            part = different[0]
            raise ConfigError(
                f"zoo/{name}.toml: {key}.{part} is {ours.get(part)}, the card's is {theirs.get(part)}",
                hint=f"make [{key}] the same as [variants.{name}.{key}] of {where}",
            )


def resolved_network(source: Model | Variant, card: MethodCard) -> dict[str, Any]:
    """Network arguments with the family's defaults filled in.

    Raises `ConfigError` for arguments that the family does not take.
    """
    where = f"{card.method.id}: network"
    model = network_model(family(card.sampler, where), where)
    return check_typed(model, source.network, where).model_dump() if model else dict(source.network)


def build_network(configuration: Training) -> nn.Module:
    """The network, its weights as its constructor leaves them.

    Raises `ConfigError` for arguments that the family does not take.
    """
    if isinstance(configuration, Tokenizer):
        return build_tokenizer(configuration)
    assert isinstance(configuration, Model)
    method = card(configuration)
    where = f"{method.method.id}.toml"
    chosen = family(method.sampler, where)
    if chosen.module is None:
        raise ConfigError(f"{where}: sampler {chosen.sampler} names no network", hint="train it where it is defined")
    network: nn.Module = import_object(chosen.module, where)(**resolved_network(configuration, method))
    return network


def build_tokenizer(configuration: Tokenizer) -> nn.Module:
    """As `build_network`."""
    where = f"decoder_family {configuration.decoder_family!r}"
    chosen = DECODERS[configuration.decoder_family]
    if chosen.module is None:
        raise ConfigError(f"{where} names no network", hint="train it where it is defined")
    arguments = check_typed(import_object(chosen.network, where), configuration.network, f"{where}: network")
    network: nn.Module = import_object(chosen.module, where)(arguments)
    return network
