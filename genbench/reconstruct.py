"""Autoencoders measured: real images encoded, decoded, and compared with themselves, under a suite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from genbench.cards import DecoderCard, decoder_files, load_decoder
from genbench.digest import digest
from genbench.engine.memory import Halving
from genbench.errors import UsageError, unknown
from genbench.evaluation import Questions, Subject, parse_metrics
from genbench.images.batch import ImageBatch
from genbench.images.crop import Prepared
from genbench.images.quantise import to_uint8
from genbench.images.sources import ImageSource, open_source
from genbench.methods.latents.families import DECODERS
from genbench.methods.latents.tokenizer import (
    CodebookUsage,
    DrawingTokenizer,
    Reconstruction,
    Tokenizer,
    compression_ratio,
    reconstruct,
)
from genbench.methods.loading import DecoderOnDisk, find_decoder, load_image_decoder
from genbench.methods.noise import SeededNoise
from genbench.metrics.labels import Labels
from genbench.precision import Precision
from genbench.records import MeasurementFacts, Record, RunFacts, SuiteFacts, latest_record
from genbench.score import Settings, score_pairs
from genbench.shards import ShardCache, split
from genbench.suites import ReconstructionSuite

CODES = "codes"
"""What stands for a feature space in figures of codes."""
PRESET = "mean"
"""Continuous latents are the mean of what the encoder says, none is drawn. A decoder that starts from noise draws image
i's with seed i."""


@dataclass(frozen=True)
class ReconstructionProtocol:
    """A suite of reconstructions, resolved."""

    suite: ReconstructionSuite
    questions: Questions

    @cached_property
    def digest(self) -> str:
        """Covers how originals are prepared, feature spaces with their weights, and metric versions."""
        return digest(
            {
                "suite": self.suite.model_dump(mode="json", exclude={"title", "runs", "metrics"}),
                "spaces": {name: space.digest for name, space in self.questions.spaces.items()},
                "metrics": {metric.id: metric.statistic.version for metric in self.questions.metrics},
            }
        )


class Reconstructed:
    """`ImageSource` of what an autoencoder makes of another source's images; loaded when the first one is read."""

    def __init__(self, originals: ImageSource, found: DecoderOnDisk, device: str) -> None:
        self._originals, self._found, self._device = originals, found, device
        self.name = f"{originals.name} through {found.card.id}"
        self.names, self.labels = originals.names, originals.labels
        self._halving = Halving(self._reconstruct, "reconstruction")
        self.costs: dict[str, Any] = {"nfe": None, "parameters": None}
        """Parameters, compression ratio and, as hexadecimal digits, which codes the latest shard used."""

    def __len__(self) -> int:
        return len(self._originals)

    @cached_property
    def digest(self) -> str:
        """Of the originals and of everything that can change a pixel."""
        card = self._found.card
        return digest({"originals": self._originals.digest, "by": self._found.digest, "quantise": card.quantise})

    @cached_property
    def _tokenizer(self) -> Tokenizer | DrawingTokenizer:
        loaded: Any = load_image_decoder(self._found, torch.device(self._device))
        tokenizer: Tokenizer | DrawingTokenizer = loaded
        return tokenizer

    def batches(self, first: int, count: int, size: int) -> Iterator[ImageBatch]:
        """Images first..first+count-1 in order, in batches of at most `size`; codes are counted from `first` on.

        Raises what the source does, and `UsageError` for images of a side that the autoencoder does not take.
        """
        tokenizer = self._tokenizer
        usage = CodebookUsage(tokenizer.codebook_size) if tokenizer.codebook_size else None
        seeds = range(first, first)
        for batch in self._originals.batches(first, count, size):
            seeds = range(seeds.stop, seeds.stop + len(batch.pixels))
            parts = self._halving(batch.pixels, seeds)
            if usage is not None:
                for part in parts:
                    usage.add(part.code)
            self.costs = {
                "nfe": None,
                "parameters": tokenizer.parameters,
                "compression_ratio": compression_ratio(tokenizer, parts[0]),
                "codebook_size": tokenizer.codebook_size,
                "codes": usage.to_hex() if usage else None,
            }
            made = torch.cat([to_uint8(part.images, self._found.card.quantise) for part in parts]).cpu()
            yield ImageBatch(made, batch.facts)

    @torch.inference_mode()
    def _reconstruct(self, pixels: torch.Tensor, seeds: Sequence[int]) -> Reconstruction:
        images = pixels.to(self._device).float() / 127.5 - 1
        return reconstruct(self._tokenizer, images, SeededNoise(seeds, self._device))


def load_protocol(suite: ReconstructionSuite, precision: Precision = "exact") -> ReconstructionProtocol:
    """Resolve a suite. Raises `UsageError` for unknown metrics and spaces."""
    return ReconstructionProtocol(suite, parse_metrics(suite.metrics, precision, originals=True))


def select(patterns: Sequence[str], registry: Sequence[Path]) -> list[DecoderCard]:
    """The decoders that the globs name, in their order and without repeats.

    Raises `UsageError` when a pattern matches none or one without an encoder, and `ConfigError` for a file that is
    wrong.
    """
    known = decoder_files(registry)
    chosen: dict[str, DecoderCard] = {}
    for pattern in patterns:
        matches = [name for name in known if fnmatchcase(name, pattern)]
        if not matches:
            raise unknown("latent decoder", pattern, known)
        chosen |= {name: _with_encoder(load_decoder(name, registry)) for name in matches}
    return list(chosen.values())


def _with_encoder(card: DecoderCard) -> DecoderCard:
    if not DECODERS[card.family].encodes:
        raise UsageError(
            f"decoder {card.id} has no encoder of its own",
            hint="name others with -m; `genbench score --originals` measures reconstructions that were made elsewhere",
        )
    return card


def measured(
    protocol: ReconstructionProtocol, card: DecoderCard, originals: Path, settings: Settings, results: Path
) -> tuple[Record, Path | None]:
    """One autoencoder under a suite: the record, and where it lies if an earlier call measured the same thing.

    Raises `ImageError` for originals that cannot be read, `UsageError` for too few of them, for others than the suite's
    size, and for a decoder without an encoder, and what locating weights and measuring raise.
    """
    suite = protocol.suite
    n = min(suite.images, settings.limit or suite.images)
    source = open_source(originals, workers=settings.workers)
    prepared = Prepared(source, n, suite.resolution, crop=suite.crop == "adm")
    found = find_decoder(card, cache=settings.cache, registry=settings.registry)
    made = Reconstructed(prepared, found, settings.device)
    name = f"{card.id}@{PRESET}"
    known = {
        "kind": "run",
        "limited": n < suite.images,
        "suite": SuiteFacts(id=suite.id, digest=protocol.digest),
        "run": RunFacts(
            name=name,
            method=card.id,
            variant=card.id,
            preset=PRESET,
            digest=digest({"decoder": found.digest, "quantise": card.quantise}),
            given={},
            settings={"quantise": card.quantise},
            weights_sha256=found.weights.sha256,
        ),
    }

    def same(record: Record) -> bool:
        return (
            record.suite is not None and record.suite.digest == protocol.digest and record.images.digest == made.digest
        )

    if earlier := latest_record(results / suite.id / name, same):
        path, record = earlier
        return record, path
    subject = Subject(
        title=name,
        digest=digest({"files": made.digest}),
        shards=split(0, n),
        open=lambda: made,
        labels=Labels.of_folders(made.labels) if made.labels else None,
        folders=made.labels,
    )
    record = score_pairs(made, subject, prepared, protocol.questions, replace(settings, limit=None))
    facts = [f["costs"] for s in subject.shards if (f := ShardCache(settings.cache).read_facts(subject.digest, s))]
    costs = record.costs.model_copy(
        update={"parameters": facts[0]["parameters"], "weight_bytes": found.weights.path.stat().st_size}
    )
    measurements = (*record.measurements, *_of_codes(facts, n))
    return record.model_copy(update={**known, "costs": costs, "measurements": measurements}), None


def _of_codes(facts: Sequence[Mapping[str, Any]], n: int) -> Iterator[MeasurementFacts]:
    """How much of the codebook was used, and how much smaller a code is than its image of 8 bits a channel."""
    size = facts[0]["codebook_size"]
    usage = CodebookUsage.of_hex(size, [f["codes"] for f in facts]).share if size else None
    for statistic, value in (("codebook-usage", usage), ("compression-ratio", facts[0]["compression_ratio"])):
        if value is not None:
            yield MeasurementFacts(
                metric=f"{statistic}@{CODES}",
                statistic=statistic,
                space=CODES,
                version=1,
                direction="higher",
                value=value,
                stderr=None,
                n=n,
                n_reference=n,
            )
