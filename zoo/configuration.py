"""Configurations of the embedded zoo: one TOML file a model beside this one, with everything that moves a weight."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from torch import nn

from genbench.cards import MethodCard, Name, Scalar, Variant, load_card
from genbench.errors import ConfigError, unknown
from genbench.methods.families import family, import_object, network_model
from genbench.schema import Strict, check, load_toml
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


class Configuration(Strict):
    """One model of the zoo: a variant of a card, and how it is trained."""

    card: str
    """The method: ``registry/<card>.toml``."""
    summary: str
    """Of the variant."""
    network: dict[str, Any]
    """Arguments of the family's network."""
    presets: dict[Name, dict[str, Scalar]] = Field(min_length=1)
    default_preset: Name
    curve: Name
    """The unguided preset that snapshots are measured with."""
    initial: str | None = None
    """The model of the zoo whose weights at the end of its training this one starts from; none draws them."""
    objective: Objective
    alignment: Alignment | None = None
    optimiser: Optimiser
    budget: Budget

    @property
    def training(self) -> dict[str, Any]:
        """What was set and moves a weight: a setting that is added later and left at its default changes nothing."""
        described = {"summary", "presets", "default_preset", "curve"}
        return self.model_dump(mode="json", exclude=described, exclude_defaults=True)


def load(name: str) -> Configuration:
    """The configuration of that name.

    Raises `UsageError` for an unknown name, and `ConfigError` for a file that is not valid or says otherwise than the
    variant of the same name in its card, if there is one.
    """
    files = {path.stem: path for path in HERE.glob("*.toml")}
    if name not in files:
        raise unknown("zoo configuration", name, files)
    configuration = load_toml(Configuration, files[name])
    check_against_card(name, configuration, card(configuration))
    return configuration


def card(configuration: Configuration) -> MethodCard:
    """The method's card."""
    return load_card(card_path(configuration))


def card_path(configuration: Configuration) -> Path:
    """Where the method's card lies."""
    return REGISTRY / f"{configuration.card}.toml"


def check_against_card(name: str, configuration: Configuration, card: MethodCard) -> None:
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


def resolved_network(source: Configuration | Variant, card: MethodCard) -> dict[str, Any]:
    """Network arguments with the family's defaults filled in.

    Raises `ConfigError` for arguments that the family does not take.
    """
    where = f"{card.method.id}: network"
    model = network_model(family(card.method.sampler, where), where)
    return check(model, source.network, where).model_dump() if model else dict(source.network)


def build_network(configuration: Configuration) -> nn.Module:
    """The network, its weights as its constructor leaves them."""
    method = card(configuration)
    where = f"{method.method.id}.toml"
    chosen = family(method.method.sampler, where)
    if chosen.module is None:
        raise ConfigError(f"{where}: sampler {chosen.sampler} names no network", hint="train it where it is defined")
    network: nn.Module = import_object(chosen.module, where)(**resolved_network(configuration, method))
    return network
