"""Prompts that images were made from: read from a file, matched with images, and embedded for CLIP score."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.digest import digest
from genbench.errors import UsageError
from genbench.features import openclip
from genbench.features.space import Space
from genbench.metrics.labels import Labels
from genbench.records import PromptFacts
from genbench.shards import ShardCache, space_folder, split

IMAGE, PROMPT, CATEGORY = "file_name", "prompt", "category"
"""Columns of a .csv, keys of a .jsonl; Hugging Face's image folders use the first two."""
CLASS = "{class}"
"""Where the name of a class goes in a template."""
_BATCH = 64


class Prompts(NamedTuple):
    """What N images were made from, in their order."""

    facts: PromptFacts
    texts: tuple[str, ...]
    categories: tuple[str, ...] | None = None
    """What kind of prompt each is, where the file says so."""

    def first(self, n: int) -> Prompts:
        """Those of the first `n` images."""
        return Prompts(self.facts, self.texts[:n], self.categories and self.categories[:n])


class _Row(NamedTuple):
    text: str
    image: str | None
    category: str | None


@dataclass(frozen=True)
class PromptFile:
    """The prompts in a file, as it has them."""

    path: Path
    rows: tuple[_Row, ...]

    @property
    def digest(self) -> str:
        """Identity of what the rows say, in whichever kind of file."""
        return digest({"rows": [list(row) for row in self.rows]})

    @property
    def by_order(self) -> bool:
        """Whether prompts belong to images by their place; otherwise by the name of the image."""
        return self.rows[0].image is None

    @property
    def repeated(self) -> str | None:
        """A prompt of two places or more; none where images are named, several of which may share a prompt."""
        texts = Counter(row.text for row in self.rows if row.image is None)
        return next((text for text, count in texts.items() if count > 1), None)

    def of(self, images: Sequence[str], labels: Labels | None = None, *, more: bool = False) -> Prompts:
        """The prompts of the `images`, which are names, in their order; `labels` say nothing here.

        Rows that name further images are passed over, and those behind the last image where `more` of them are
        expected. Raises `UsageError` for an image without a prompt, and for other numbers of prompts than of images.
        """
        rows = self.rows[: len(images)] if self.by_order and more else self.rows
        if self.by_order and len(rows) != len(images):
            raise UsageError(
                f"{self.path}: {len(rows)} prompts for {len(images)} images",
                hint=f"write one for each image, or a .csv with columns {IMAGE} and {PROMPT}",
            )
        if not self.by_order:
            by_name = {row.image: row for row in rows}
            for image in images:
                if image not in by_name:
                    raise UsageError(
                        f"{self.path}: no prompt for image {image}", hint=f"add a row with {IMAGE} {image}"
                    )
            rows = tuple(by_name[image] for image in images)
        categories = tuple(row.category for row in rows if row.category is not None)
        facts = PromptFacts(source=str(self.path), digest=self.digest)
        return Prompts(facts, tuple(row.text for row in rows), categories or None)


@dataclass(frozen=True)
class PromptTemplate:
    """A prompt that names the class of an image, such as ``a photo of a {class}``."""

    text: str

    @property
    def digest(self) -> str:
        """Identity of the template."""
        return digest({"template": self.text})

    def of(self, images: Sequence[str], labels: Labels | None = None, *, more: bool = False) -> Prompts:
        """The prompt of each image by its class in `labels`; what the images are called says nothing here.

        Raises `UsageError` where classes are not known or have no names.
        """
        if labels is None or labels.names is None:
            known = "not known" if labels is None else "known by their numbers only"
            raise UsageError(
                f"the prompt {self.text!r} names the class of an image, and the classes are {known}",
                hint="put the images in one folder a class, called after it, or give a file of prompts",
            )
        texts = tuple(self.text.replace(CLASS, labels.name(number)) for number in labels.classes)
        return Prompts(PromptFacts(source=self.text, digest=self.digest), texts)


def open_prompts(given: str, registry: Sequence[Path]) -> PromptFile | PromptTemplate:
    """A template if ``{class}`` is in it; else the file of that path, or of that name in a registry's ``prompts``.

    Raises `UsageError` as `read_prompts` does.
    """
    if CLASS in given:
        return PromptTemplate(given)
    places = [Path(given), *(folder / "prompts" / given for folder in registry)]
    return read_prompts(next((path for path in places if path.is_file()), Path(given)))


def read_prompts(path: Path) -> PromptFile:
    """The prompts in a file.

    A .csv has a column ``prompt``, a .jsonl an object with this key on each line; ``file_name`` is the image that the
    prompt is of, ``category`` what kind of prompt it is; in a file each is given in all rows or in none. Any other file
    has one prompt a line. Without names, prompts are in the order of the images.

    Raises `UsageError` for a file that cannot be read or is not that, for an empty prompt, and for an image with two.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: prompts cannot be read ({error})", hint="give a file of text in UTF-8") from error
    readers = {".csv": _csv, ".jsonl": _jsonl}
    rows = tuple(readers.get(path.suffix.lower(), _lines)(path, text))
    if not rows:
        raise UsageError(f"{path}: holds no prompts", hint="write one a line")
    for key, given in ((IMAGE, [row.image for row in rows]), (CATEGORY, [row.category for row in rows])):
        if None in given and any(given):
            number = given.index(None) + 1
            raise UsageError(f"{path}: prompt {number} has no {key}, others have one", hint=f"give {key} in every row")
    texts: dict[str, str] = {}
    for row in rows:
        if row.image is not None and texts.setdefault(row.image, row.text) != row.text:
            raise UsageError(f"{path}: two prompts for image {row.image}", hint="keep the one that it was made from")
    return PromptFile(path, rows)


def _lines(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        yield _row({PROMPT: line}, f"{path}:{number}")


def _csv(path: Path, text: str) -> Iterator[_Row]:
    try:
        for number, row in enumerate(csv.DictReader(text.splitlines()), start=2):
            yield _row(row, f"{path}:{number}")
    except csv.Error as error:
        raise UsageError(f"{path}: not CSV ({error})", hint="see RFC 4180 on quotes") from error


def _jsonl(path: Path, text: str) -> Iterator[_Row]:
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{where}: not JSON ({error})", hint="write one object a line") from error
        yield _row(row if isinstance(row, dict) else {}, where)


def _row(row: Mapping[str, object], where: str) -> _Row:
    prompt, image, category = row.get(PROMPT), row.get(IMAGE), row.get(CATEGORY)
    if not (isinstance(prompt, str) and prompt.strip()):
        raise UsageError(f"{where}: no {PROMPT}", hint=f"give each row a {PROMPT}, and an image's {IMAGE} if you like")
    return _Row(prompt.strip(), _text(image), _text(category))


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def prompt_features(prompts: Sequence[str], space: Space, *, device: str, cache: Path) -> npt.NDArray[np.float32]:
    """(N, D): embeddings of N prompts in the open_clip `space`, each different prompt embedded once and kept.

    Raises `UsageError` for a space that embeds no text, and what locating its weights raises.
    """
    if not space.extractor.startswith(openclip.PREFIX):
        raise UsageError(
            f"{space.name} embeds no prompts", hint=f"take an open_clip model, such as {openclip.PREFIX}ViT-L-14:openai"
        )
    different, places = np.unique(np.array(prompts, dtype=object), return_inverse=True)
    shards, kept = split(0, len(different)), ShardCache(cache)
    identity, folder = digest({"prompts": list(different)}), space_folder(space.name, space.digest)
    missing = [shard for shard in shards if not kept.has(identity, folder, shard)]
    if missing:
        encode = openclip.load_text(space.extractor, cache=cache, device=device)
        kept.describe(identity, f"{len(different)} prompts")
        for shard in missing:
            texts = list(different[shard.first : shard.first + shard.size])
            parts = [encode(texts[start : start + _BATCH]).cpu().numpy() for start in range(0, len(texts), _BATCH)]
            kept.write(identity, folder, shard, np.concatenate(parts))
    embedded = np.concatenate([kept.read(identity, folder, shard) for shard in shards])
    found: npt.NDArray[np.float32] = embedded[places.ravel()]
    return found


def embedded_prompts(
    prompts: Prompts | None, spaces: Mapping[str, Space], *, device: str, cache: Path
) -> dict[str, npt.NDArray[np.float32]]:
    """`prompt_features` in every one of the spaces, by its name; empty without prompts."""
    texts = {} if prompts is None else dict.fromkeys(spaces, prompts.texts)
    return {name: prompt_features(texts[name], spaces[name], device=device, cache=cache) for name in texts}
