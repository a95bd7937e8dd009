"""Method cards: one TOML file a paper, with its variants, sampling presets, weights and the authors' claims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from genbench.digest import canonical
from genbench.errors import ConfigError, UsageError, unknown
from genbench.files import stays_inside
from genbench.paths import first_of_each
from genbench.schema import Strict, load_toml

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._+-]*$")]
"""Lower-case letters, digits and ``. _ + -``: names become folders and the two sides of ``variant@preset``."""


def _stays_inside(value: str) -> str:
    if not stays_inside(value):
        raise ValueError("should be a file name inside the weights folder")
    return value


FileName = Annotated[str, AfterValidator(_stays_inside)]
"""Of a file from outside; may have folders, with forward slashes."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Scalar = bool | int | float | str | None
QuantiseRule = Literal["round", "half", "truncate"]

DecoderKind = Literal["autoencoder-kl", "d-ar", "llamagen", "mage", "rae", "var"]
"""Families of decoders that genbench carries (``genbench/methods/latents/families.py``)."""


def _has_digest(value: dict[str, Any]) -> dict[str, Any]:
    try:
        canonical(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"holds what a digest cannot cover: {error}") from error
    return value


NetworkArguments = Annotated[dict[str, Any], AfterValidator(_has_digest)]
"""Constructor arguments of a network, which are part of a run's digest."""


class Weights(Strict):
    """One weight file: what it is called, where it comes from, what it must hash to."""

    file: FileName
    """File name in the cache and in ``registry/weights``."""
    sha256: Sha256 | None = None
    """Pinned at first use, and said so, when the authors publish no digest."""
    url: str | None = None
    """Published address; none for files that come with genbench."""
    licence: str | None = None
    """Of the file, as its publisher names it."""
    entry: str | None = None
    """Which state dict of a checkpoint that holds several, such as ``ema``, or ``trainer.ema`` for one inside another
    entry; none for a file that is one."""
    prefix: str | None = Field(default=None, min_length=1)
    """What the keys of the sampled network begin with, such as ``ema_denoiser.``: stripped, and other keys dropped."""


class Claim(Strict):
    """A number that the authors published for a variant."""

    metric: str
    """A metric of genbench, by its short name or as ``statistic@space``."""
    value: float
    """As printed."""
    n: int = 50_000
    """Images that it was measured on."""
    reference: str | None = None
    """What images were compared with, by its name in ``registry/references``; none when the card does not say."""
    preset: str | None = None
    """The preset that reproduces it; none when no preset of the card does."""
    source: str
    """Where it is printed: the paper with its table, or an address."""
    note: str | None = None
    """What else belongs to it."""


class Decoder(Strict):
    """How the latents of a variant become pixels: divided by `scale`, set back by `statistics`, then decoded."""

    name: Name
    """``registry/decoders/<name>.toml``."""
    scale: float = Field(default=1.0, gt=0)
    """By which the sampler's latents are divided."""
    statistics: Weights | None = None
    """Statistics of the latents: ``mean`` and ``std``, ``mean`` and ``var``, or ``latents_scale`` and
    ``latents_bias``."""
    weights: Weights | None = None
    """The variant's own decoder, instead of the weights that the decoder's file names."""
    resize: int | None = Field(default=None, gt=0)
    """Side that decoded images are resized to, bicubic without antialiasing, where the authors score another size
    than they sample."""
    tile: int | None = Field(default=None, ge=8)
    """Side in latent cells of the tiles that larger latents are decoded in, overlapping by a quarter and blended: less
    memory, and other pixels; none decodes an image at once."""


class DecoderCard(Strict):
    """One file of ``registry/decoders``: a network from latents to pixels."""

    id: Name
    """The name of the file."""
    title: str
    """What it decodes, in words."""
    code: str | None = None
    """Address of the authors' code."""
    licence: str | None = None
    """Of that code and its weights."""
    family: DecoderKind = "autoencoder-kl"
    """The autoencoder of latent diffusion, RAE's decoder of a vision encoder's tokens, or D-AR's, LlamaGen's, MAGE's
    or VAR's tokenizer."""
    network: dict[str, Any]
    """Arguments of its network (``genbench/methods/latents/families.py``)."""
    manifest: str | None = None
    """``registry/manifests/<name>.json``, the official keys and shapes."""
    weights: Weights | None = None
    """None where every variant brings its own."""
    quantise: QuantiseRule = "round"
    """From a reconstruction's floats to uint8; a sampled image goes by the rule of its variant."""


class Checkpoint(Strict):
    """A moment of a training run."""

    training: Name
    """Name of the training run: variants that share it are points of one curve."""
    epochs: float = Field(gt=0)
    """Passes over the training data until then."""


class Companion(Strict):
    """A further network that sampling evaluates, with a weight file of its own: the weaker one of autoguidance
    (arXiv:2406.02507), or RCG's generator of representations (arXiv:2312.03701)."""

    network: NetworkArguments
    """Its constructor arguments."""
    weights: Weights
    """Its weight file."""
    manifest: str | None = None
    """As `Variant.manifest`."""


class Variant(Strict):
    """One set of weights of a method, and how the authors sample from it."""

    summary: str
    """In a few words."""
    dataset: str
    """What it was trained on; only suites of that data set and resolution run it."""
    resolution: int = Field(gt=0)
    """Side of a generated image, pixels."""
    classes: int = Field(ge=0)
    """Number of classes, 0 for an unconditional model."""
    prompted: bool = False
    """Whether an image is made from the prompt that a suite has for it."""
    quantise: QuantiseRule
    """The authors' rule from float to uint8 (see `genbench.images.quantise`)."""
    network: NetworkArguments
    """Constructor arguments of the family's network."""
    manifest: str | None = None
    """``registry/manifests/<name>.json``, the official keys and shapes that the network must have."""
    weights: Weights | None = None
    """None for a sampler that needs no file."""
    companions: dict[Name, Companion] = Field(default_factory=dict)
    """Further networks, each by the argument of the variant's network that it is: ``guide`` is autoguidance's. A preset
    that does not evaluate one needs no file of it."""
    decoder: Decoder | None = None
    """None for models of pixels."""
    checkpoint: Checkpoint | None = None
    """Which moment of which training the weights are, for training curves; covered by no digest."""
    presets: dict[Name, dict[str, Scalar]] = Field(min_length=1)
    """Named sampler settings."""
    default_preset: Name
    """Which of them is meant where a run names the variant alone."""
    claims: tuple[Claim, ...] = ()
    """What the authors printed for it."""

    @model_validator(mode="after")
    def _one_condition(self) -> Variant:
        if self.prompted and self.classes:
            raise ValueError(f"prompted and {self.classes} classes: images are made from one or the other")
        return self

    @model_validator(mode="after")
    def _presets_exist(self) -> Variant:
        for preset in [self.default_preset, *(c.preset for c in self.claims if c.preset)]:
            if preset not in self.presets:
                raise ValueError(f"preset {preset!r} is not one of {', '.join(self.presets)}")
        return self


class Method(Strict):
    """What a paper is called, where it stands, and which sampler class runs it."""

    id: Name
    """The name of the file."""
    name: str
    """As the field says it: ``SiT``."""
    title: str
    """Of the paper."""
    paper: str | None = None
    """Its arXiv number or address."""
    code: str | None = None
    """Address of the authors' code."""
    licence: str | None = None
    """Of that code."""
    year: int | None = None
    """Of the paper's first version."""
    sampler: str | None = None
    """A family of genbench, or ``module:Class`` of the user's own; none for a method that is unavailable."""
    unavailable: str | None = Field(default=None, min_length=1)
    """Why genbench cannot run it, in a sentence; none for one that it can."""

    @model_validator(mode="after")
    def _runs_or_says_why_not(self) -> Method:
        if (self.sampler is None) == (self.unavailable is None):
            raise ValueError("names either a sampler or, in unavailable, why there is none")
        return self


class MethodCard(Strict):
    """One file of the registry."""

    method: Method
    """The paper."""
    variants: dict[Name, Variant] = Field(default_factory=dict)
    """Empty for a method that is unavailable."""

    @model_validator(mode="after")
    def _variants_can_run(self) -> MethodCard:
        if bool(self.variants) == (self.method.unavailable is not None):
            raise ValueError("has either variants or, in method.unavailable, why there are none")
        return self

    @property
    def sampler(self) -> str:
        """The family or ``module:Class`` that runs the variants; raises `refusal` for a method that is unavailable."""
        if self.method.sampler is None:
            raise self.refusal()
        return self.method.sampler

    def refusal(self) -> UsageError:
        """The error for who wants to run a method that is unavailable: why it is, and what can be done."""
        return UsageError(
            f"{self.method.name} cannot be run: {self.method.unavailable}",
            hint="`genbench score PATH --suite SUITE` measures images that its authors' code made; "
            f"`genbench show published {self.method.id}` has the printed figures",
        )


def load_card(path: Path) -> MethodCard:
    """Read one card.

    Raises `ConfigError` naming the file and the key, also when the file is not called after the method's id.
    """
    card = load_toml(MethodCard, path)
    if card.method.id != path.stem:
        raise ConfigError(
            f"{path}: method.id is {card.method.id!r}, the file is called {path.name!r}",
            hint=f"rename the file to {card.method.id}.toml",
        )
    return card


def load_decoder(name: str, folders: Sequence[Path]) -> DecoderCard:
    """The decoder of that name, from the first registry that has it.

    Raises `UsageError` for an unknown name, with the nearest ones, and `ConfigError` naming the file and the key.
    """
    files = decoder_files(folders)
    if name not in files:
        raise unknown("latent decoder", name, files)
    card = load_toml(DecoderCard, files[name])
    if card.id != name:
        raise ConfigError(f"{files[name]}: id is {card.id!r}", hint=f"rename the file to {card.id}.toml")
    return card


def decoder_files(folders: Sequence[Path]) -> dict[str, Path]:
    """The file of each decoder by name, from the first registry that has it."""
    return first_of_each(folders, "decoders/*.toml")


def card_files(folders: Iterable[Path]) -> list[Path]:
    """The card of each method id, from the first folder that has it, by id; ``unavailable/`` comes after its folder."""
    return list(first_of_each(folders, "*.toml", "unavailable/*.toml").values())


def load_cards(folders: Sequence[Path]) -> dict[str, MethodCard]:
    """Every card in the folders by method id; earlier folders win.

    Raises `ConfigError` when two methods name the same variant.
    """
    cards: dict[str, MethodCard] = {}
    owners: dict[str, Path] = {}
    for path in card_files(folders):
        card = load_card(path)
        for variant in card.variants:
            if variant in owners:
                raise ConfigError(
                    f"{path}: variant {variant!r} is already defined in {owners[variant]}",
                    hint="variant names are unique in a registry; rename one",
                )
            owners[variant] = path
        cards[card.method.id] = card
    return cards


def variants(cards: Mapping[str, MethodCard]) -> dict[str, tuple[MethodCard, Variant]]:
    """Every variant of every card by name."""
    return {name: (card, variant) for card in cards.values() for name, variant in card.variants.items()}
