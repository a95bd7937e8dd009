"""From a run to a sampler with its weights in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor

from genbench.cards import Decoder, DecoderCard, Weights, load_decoder
from genbench.digest import digest, digest_file
from genbench.errors import ConfigError, WeightsError
from genbench.methods.catalog import Sampler
from genbench.methods.families import build_sampler, import_object
from genbench.methods.latents.decoder import Decoded, LatentDecoder, PixelDecoder, latent_statistics
from genbench.methods.latents.families import build_decoder, check_tiles
from genbench.methods.prompted import prompted
from genbench.methods.resemblance import resemblance
from genbench.methods.runs import Run
from genbench.weights import WeightFile, load_tensors, locate


class FileOnDisk(NamedTuple):
    """A file from outside, found and checked."""

    path: Path
    sha256: str


class DecoderOnDisk(NamedTuple):
    """A latent decoder's files, and what they are for."""

    card: DecoderCard
    use: Decoder
    weights: FileOnDisk
    statistics: FileOnDisk | None

    @property
    def source(self) -> Weights | None:
        """What the file of `weights` is."""
        return self.use.weights or self.card.weights

    @property
    def digest(self) -> str:
        """Identity of everything that can change a pixel."""
        source = self.source
        return digest(
            {
                "network": self.card.network,
                "weights": self.weights.sha256,
                "entry": source.entry if source else None,
                "prefix": source.prefix if source else None,
                "scale": self.use.scale,
                "statistics": self.statistics.sha256 if self.statistics else None,
                **({"resize": self.use.resize} if self.use.resize else {}),
                **({"tile": self.use.tile} if self.use.tile else {}),
            }
        )


class WeightsOnDisk(NamedTuple):
    """A run's weight files, found and checked."""

    path: Path
    sha256: str
    decoder: DecoderOnDisk | None = None
    companions: Mapping[str, FileOnDisk] = MappingProxyType({})

    @property
    def bytes(self) -> int:
        """Size of every file, the companions' and the decoder's included; of one that holds several, once."""
        files = {self.path, *(file.path for file in self.companions.values())}
        if self.decoder is not None:
            files |= {file.path for file in (self.decoder.weights, self.decoder.statistics) if file is not None}
        return sum(map(_size, files))


def find_weights(run: Run, *, cache: Path, registry: Sequence[Path]) -> WeightsOnDisk | None:
    """The run's weight files, fetched if need be; none if its variant names none.

    Raises `WeightsError` when one is nowhere, or is not the published one, and `UsageError` or `ConfigError` for a
    decoder that is not known or has no weights, before anything is fetched.
    """
    if run.family.files:
        return WeightsOnDisk(*import_object(run.family.files, run.method)(run.network))
    weights, use = run.variant.weights, run.variant.decoder
    if weights is None:
        return None
    card = load_decoder(use.name, registry) if use else None
    if card is not None and use is not None and card.weights is None and use.weights is None:
        raise ConfigError(
            f"{run.method}.toml: variants.{run.variant_name}.decoder: {card.id} has no weights of its own",
            hint=f"name a file under [variants.{run.variant_name}.decoder.weights]",
        )
    _check_tokenizer(run, card)
    if card is not None and use is not None and use.tile is not None:
        check_tiles(card)

    find = partial(_find, cache=cache, registry=registry)

    decoder = None
    if card is not None and use is not None and (source := use.weights or card.weights) is not None:
        decoder = DecoderOnDisk(card, use, find(source), find(use.statistics) if use.statistics else None)
    return WeightsOnDisk(*find(weights), decoder, {name: find(c.weights) for name, c in run.companions.items()})


def find_decoder(card: DecoderCard, *, cache: Path, registry: Sequence[Path]) -> DecoderOnDisk:
    """A decoder's own weight file, fetched if need be, for what it encoded itself.

    Raises `ConfigError` for a card without weights of its own, and `WeightsError` for a file that is nowhere, or is not
    the published one.
    """
    if card.weights is None:
        raise ConfigError(
            f"decoders/{card.id}.toml: has no weights of its own", hint="every variant that uses it brings its own"
        )
    return DecoderOnDisk(card, Decoder(name=card.id), _find(card.weights, cache=cache, registry=registry), None)


def _find(source: Weights, *, cache: Path, registry: Sequence[Path]) -> FileOnDisk:
    spec = WeightFile(file=source.file, sha256=source.sha256, url=source.url, licence=source.licence)
    path = locate(spec, cache=cache, extra_dirs=[folder / "weights" for folder in registry])
    return FileOnDisk(path, source.sha256 or digest_file(path))


def identity(run: Run, weights: WeightsOnDisk | None) -> str:
    """Digest of everything that can change a pixel of the run."""
    if weights is None:
        return run.digest(None)
    companions = {name: file.sha256 for name, file in weights.companions.items()}
    return run.digest(weights.sha256, weights.decoder.digest if weights.decoder else None, companions)


def _check_tokenizer(run: Run, card: DecoderCard | None) -> None:
    wanted, where = run.family.tokenizer, f"{run.method}.toml: variants.{run.variant_name}"
    if wanted is None:
        return
    hint = f"name the tokenizer that the variant was trained with under [variants.{run.variant_name}.decoder]"
    if card is None:
        raise ConfigError(f"{where}: names no decoder, whose codes it samples", hint=hint)
    if card.family != wanted:
        raise ConfigError(
            f"{where}.decoder: {card.id} is of family {card.family!r}, the method samples codes of {wanted!r}",
            hint=hint,
        )


def load_sampler(
    run: Run,
    weights: WeightsOnDisk | None,
    device: str,
    *,
    registry: Sequence[Path] = (),
    prompts: Sequence[str] | None = None,
    allow_pickle: bool = False,
) -> Sampler:
    """Build the run's sampler on `device`, with its latent decoder if it has one.

    `allow_pickle` lets the files of the network run code (see `genbench.weights.load_tensors`). Label i of a run that
    takes prompts means the i-th of `prompts`.

    Raises `WeightsError` when a file has no such entry or prefix as the card names, or does not fit the network; the
    manifests in `registry` say what it is then.
    """
    state = _network_state(run, weights, allow_pickle=allow_pickle)
    found = weights.decoder if weights else None
    decoder = load_image_decoder(found, torch.device(device)) if found else None
    try:
        sampler = build_sampler(
            run.family,
            f"{run.method}.toml: variants.{run.variant_name}",
            network=run.network,
            settings=run.settings,
            state=state,
            device=torch.device(device),
            decoder=decoder,
            folder=weights.path if weights and run.family.files else None,
        )
    except WeightsError as error:
        looks = resemblance(state, [folder / "manifests" for folder in registry]) if state and weights else None
        if looks is None or weights is None:
            raise
        raise WeightsError(f"{weights.path}: {error}; {looks}", hint=error.hint) from error
    if run.variant.prompted:
        sampler = prompted(sampler, prompts, run.name)
    if found is None or decoder is None:
        return sampler
    statistics = latent_statistics(found.statistics.path) if found.statistics else None
    return Decoded(
        sampler, LatentDecoder(decoder, scale=found.use.scale, statistics=statistics, resize=found.use.resize)
    )


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = [path] if path.is_file() else [inside for inside in path.rglob("*") if inside.is_file()]
    return sum(file.stat().st_size for file in files)


def _network_state(run: Run, weights: WeightsOnDisk | None, *, allow_pickle: bool) -> dict[str, Tensor] | None:
    source = run.variant.weights
    if weights is None or source is None:
        return None
    state = _state(weights.path, source, allow_pickle=allow_pickle)
    for name, file in weights.companions.items():
        companion = _state(file.path, run.companions[name].weights, allow_pickle=allow_pickle)
        state |= {f"{name}.{key}": value for key, value in companion.items()}
    return state


def load_image_decoder(found: DecoderOnDisk, device: torch.device) -> PixelDecoder:
    """The network of a latent decoder with its weights. Raises what `build_decoder` and reading weights raise."""
    source = found.source
    state = _state(found.weights.path, source) if source else None
    return build_decoder(found.card, state, device, tile=found.use.tile)


def _state(path: Path, source: Weights, *, allow_pickle: bool = False) -> dict[str, Tensor]:
    state = load_tensors(path, key=source.entry, allow_pickle=allow_pickle)
    if source.prefix is None:
        return state
    kept = {key.removeprefix(source.prefix): value for key, value in state.items() if key.startswith(source.prefix)}
    if not kept:
        raise WeightsError(
            f"{path}: no key begins with {source.prefix!r} (the first is {next(iter(state))!r})",
            hint="correct `prefix` under [variants.<name>.weights], or the file",
        )
    return kept
