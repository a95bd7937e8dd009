"""What is wrong with a set of images, before a number is believed.

The facts are collected while images stream to the extractors, so nothing is decoded twice, and merge over shards::

    collector = Collector()
    for batch in collector.watch(source.batches(0, 1000, 64)):
        ...
    report = preflight([collector.facts()], source.labels)
    report.warnings()
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.errors import ImageError
from genbench.images.batch import ImageBatch, ImageFacts

EXAMPLES = 5
"""How many names a report gives as examples."""


@dataclass(frozen=True)
class ShardFacts:
    """What preflight needs to know of some consecutive images; plain data, kept beside their features."""

    names: tuple[str, ...] = ()
    """In order."""
    hashes: tuple[str, ...] = ()
    """BLAKE2b over size and RGB pixels of each image, 16 hexadecimal digits."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Images of each size, ``WIDTHxHEIGHT``."""
    modes: Mapping[str, int] = field(default_factory=dict)
    """Images of each Pillow mode before conversion."""
    formats: Mapping[str, int] = field(default_factory=dict)
    """Images of each format."""
    constant: tuple[str, ...] = ()
    """Names of images of one single colour."""
    minimum: int = 255
    """Smallest value of any channel; 255 for no images."""
    maximum: int = 0
    """Largest value of any channel; 0 for no images."""
    bits: int = 0
    """Bitwise or of all values: a bit that no value uses is 0."""

    def to_json(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {
            "names": list(self.names),
            "hashes": list(self.hashes),
            "sizes": dict(self.sizes),
            "modes": dict(self.modes),
            "formats": dict(self.formats),
            "constant": list(self.constant),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "bits": self.bits,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ShardFacts:
        """What `to_json` gave. Raises `ImageError` if it is not that."""
        try:
            facts = cls(
                names=tuple(str(name) for name in data["names"]),
                hashes=tuple(str(content) for content in data["hashes"]),
                sizes={str(key): int(n) for key, n in data["sizes"].items()},
                modes={str(key): int(n) for key, n in data["modes"].items()},
                formats={str(key): int(n) for key, n in data["formats"].items()},
                constant=tuple(str(name) for name in data["constant"]),
                minimum=int(data["minimum"]),
                maximum=int(data["maximum"]),
                bits=int(data["bits"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise _not_facts(repr(error)) from error
        if len(facts.names) != len(facts.hashes):
            raise _not_facts(f"{len(facts.names)} names and {len(facts.hashes)} hashes")
        return facts


def _not_facts(what: str) -> ImageError:
    return ImageError(f"preflight facts are damaged ({what})", hint="remove the shard that they belong to")


class Collector:
    """Collects the facts of images that stream by."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._hashes: list[str] = []
        self._constant: list[str] = []
        self._sizes: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._formats: Counter[str] = Counter()
        self._minimum, self._maximum, self._bits = 255, 0, 0

    def watch(self, batches: Iterable[ImageBatch]) -> Iterator[ImageBatch]:
        """The same batches, unchanged; what has been yielded is in `facts`."""
        for batch in batches:
            for pixels, facts in zip(batch.pixels.cpu().numpy(), batch.facts, strict=True):
                self._see(pixels, facts)
            yield batch

    def facts(self) -> ShardFacts:
        """The facts of all images so far."""
        return ShardFacts(
            names=tuple(self._names),
            hashes=tuple(self._hashes),
            sizes=dict(self._sizes),
            modes=dict(self._modes),
            formats=dict(self._formats),
            constant=tuple(self._constant),
            minimum=self._minimum,
            maximum=self._maximum,
            bits=self._bits,
        )

    def _see(self, pixels: npt.NDArray[np.uint8], facts: ImageFacts) -> None:
        size = f"{facts.width}x{facts.height}"
        self._names.append(facts.name)
        self._hashes.append(_content_hash(size, pixels))
        self._sizes[size] += 1
        self._modes[facts.mode] += 1
        self._formats[facts.format] += 1
        lowest, highest = pixels.min((1, 2)), pixels.max((1, 2))
        if (lowest == highest).all():
            self._constant.append(facts.name)
        self._minimum = min(self._minimum, int(lowest.min()))
        self._maximum = max(self._maximum, int(highest.max()))
        self._bits |= int(np.bitwise_or.reduce(pixels, axis=None))


def _content_hash(size: str, pixels: npt.NDArray[np.uint8]) -> str:
    content = hashlib.blake2b(f"{size}:".encode(), digest_size=8)
    content.update(np.ascontiguousarray(pixels).data)
    return content.hexdigest()


class Duplicate(NamedTuple):
    """An image whose pixels equal those of an earlier one."""

    name: str
    earlier: str


@dataclass(frozen=True)
class Report:
    """What a set of images is, and what about it makes numbers doubtful."""

    count: int
    sizes: Mapping[str, int]
    """Images of each size, ``WIDTHxHEIGHT``, most frequent first."""
    modes: Mapping[str, int]
    """Images of each Pillow mode before conversion, most frequent first."""
    formats: Mapping[str, int]
    """Images of each format, most frequent first."""
    duplicates: int
    """Images whose pixels repeat those of an earlier image."""
    duplicate_examples: tuple[Duplicate, ...]
    constant: int
    """Images of one single colour."""
    constant_examples: tuple[str, ...]
    minimum: int
    """Smallest value of any channel of any image."""
    maximum: int
    """Largest value of any channel of any image."""
    bits: int
    """Bitwise or of all values."""
    classes_in_order: int
    """How many classes there are, if images come class by class; 0 if they do not, or have no labels."""

    def warnings(self) -> list[str]:
        """What a reader of the numbers should know, one plain sentence each, the worst first; of no image, nothing.

        Sources are never empty: a report is of no image where no features were asked for and none was looked at.
        """
        if not self.count:
            return []
        found = [
            self._value_range(),
            self._mixed_sizes(),
            self._repeated(),
            self._constant_images(),
            self._jpeg(),
            *self._converted(),
            self._label_order(),
        ]
        return [sentence for sentence in found if sentence]

    def _value_range(self) -> str | None:
        span = f"values of all images lie in {self.minimum}..{self.maximum}"
        if self.maximum <= 1:
            return f"Suspicious value range: {span}, as if floats in [0, 1] had been cast to uint8 without scaling."
        if self.maximum <= 128:
            return (
                f"Suspicious value range: {span}; the brighter half is never used, as if scaled by 127 or 128 not 255."
            )
        if self.minimum >= 127:
            return f"Suspicious value range: {span}, as if floats in [0, 1] had been quantised as if in [-1, 1]."
        if not self.bits & 1:
            return "Suspicious values: all are even, as if scaled by two or stored with fewer than 8 bits."
        return None

    def _mixed_sizes(self) -> str | None:
        if len(self.sizes) == 1:
            return None
        return f"Images have {len(self.sizes)} sizes ({_counts(self.sizes)}); each is resized by its own factor."

    def _repeated(self) -> str | None:
        if not self.duplicates:
            return None
        pairs = "; ".join(f"{name} = {earlier}" for name, earlier in self.duplicate_examples)
        return f"{_images(self.duplicates)} of {self.count} repeat the pixels of an earlier one ({pairs})."

    def _constant_images(self) -> str | None:
        if not self.constant:
            return None
        verb = "is" if self.constant == 1 else "are"
        return f"{_images(self.constant)} {verb} of one single colour ({', '.join(self.constant_examples)})."

    def _jpeg(self) -> str | None:
        n = self.formats.get("JPEG", 0)
        if not n:
            return None
        verb = "is" if n == 1 else "are"
        return f"{_images(n)} of {self.count} {verb} JPEG, whose artefacts move FID; compare PNG with PNG."

    def _converted(self) -> Iterator[str]:
        for modes, what in (
            (("1", "L"), "greyscale and copied to three channels"),
            (("P",), "palette images converted to RGB, transparency ignored"),
            (("LA", "RGBA", "PA"), "with an alpha channel, which was dropped rather than composited"),
            (("CMYK", "YCbCr", "RGBX"), "in another colour space, converted to RGB without a colour profile"),
        ):
            n = sum(self.modes.get(mode, 0) for mode in modes)
            if n:
                yield f"{_images(n)} of {self.count}: {what}."

    def _label_order(self) -> str | None:
        if not self.classes_in_order:
            return None
        return (
            f"Images come class by class ({self.classes_in_order} classes): the Inception Score's splits, taken in"
            " this order, see few classes each, which lowers it; shuffle the images for IS."
        )


def preflight(shards: Sequence[ShardFacts], labels: Sequence[str] | None) -> Report:
    """The report on the images of `shards`, in order; `labels` are those of the same images, if they have any."""
    duplicates = list(_duplicates(shards))
    constant = [name for shard in shards for name in shard.constant]
    bits = 0
    for shard in shards:
        bits |= shard.bits
    return Report(
        count=sum(len(shard.names) for shard in shards),
        sizes=_total(shard.sizes for shard in shards),
        modes=_total(shard.modes for shard in shards),
        formats=_total(shard.formats for shard in shards),
        duplicates=len(duplicates),
        duplicate_examples=tuple(duplicates[:EXAMPLES]),
        constant=len(constant),
        constant_examples=tuple(constant[:EXAMPLES]),
        minimum=min((shard.minimum for shard in shards), default=255),
        maximum=max((shard.maximum for shard in shards), default=0),
        bits=bits,
        classes_in_order=_classes_in_order(labels or ()),
    )


def _duplicates(shards: Iterable[ShardFacts]) -> Iterator[Duplicate]:
    first: dict[str, str] = {}
    for shard in shards:
        for name, content in zip(shard.names, shard.hashes, strict=True):
            if content in first:
                yield Duplicate(name, first[content])
            else:
                first[content] = name


def _total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _classes_in_order(labels: Sequence[str]) -> int:
    classes = len(set(labels))
    in_order = all(a <= b for a, b in pairwise(labels))
    return classes if classes > 1 and in_order else 0


def _counts(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{key}: {n}" for key, n in list(counts.items())[:EXAMPLES])
    return shown if len(counts) <= EXAMPLES else f"{shown}, …"


def _images(n: int) -> str:
    return "1 image" if n == 1 else f"{n} images"
