"""Prompts that images were made from: read from a file, and embedded for CLIP score."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genbench.digest import digest
from genbench.errors import UsageError
from genbench.features import openclip
from genbench.features.space import Space
from genbench.shards import ShardCache, space_folder, split

IMAGE, PROMPT = "file_name", "prompt"
"""Columns of a .csv, keys of a .jsonl; Hugging Face's image folders call them so."""
CLASS = "{class}"
"""Where the name of a class goes in a template."""
_BATCH = 64


def read_prompts(path: Path, images: Sequence[str]) -> tuple[str, ...]:
    """The prompt of each of the `images`, which are names, in their order.

    A .csv file has columns ``file_name`` and ``prompt``, a .jsonl file an object with these keys on each line; any
    other file has one prompt a line, in the order of the images. Prompts of further images are passed over where they
    are found by name.

    Raises `UsageError` for a file that cannot be read or is not that, for an image without a prompt or with two, and
    for other numbers of lines than of images.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: prompts cannot be read ({error})", hint="give a file of text in UTF-8") from error
    if path.suffix.lower() not in (".csv", ".jsonl"):
        return _by_order(path, text, len(images))
    rows = _csv(path, text) if path.suffix.lower() == ".csv" else _jsonl(path, text)
    by_name: dict[str, str] = {}
    for image, prompt in rows:
        if by_name.setdefault(image, prompt) != prompt:
            raise UsageError(f"{path}: two prompts for image {image}", hint="keep the one that it was made from")
    for image in images:
        if image not in by_name:
            raise UsageError(f"{path}: no prompt for image {image}", hint=f"add a row with {IMAGE} {image}")
    return tuple(by_name[image] for image in images)


def prompts_of_classes(template: str, classes: Sequence[str] | None) -> tuple[str, ...]:
    """The prompt of each image by its class: `template` with the class in place of ``{class}``.

    Raises `UsageError` where classes are not known.
    """
    if classes is None:
        raise UsageError(
            f"the prompt {template!r} names the class of an image, and the classes are not known",
            hint="put the images in one folder a class, or give --prompts a file",
        )
    return tuple(template.replace(CLASS, name) for name in classes)


def _by_order(path: Path, text: str, n: int) -> tuple[str, ...]:
    lines = text.splitlines()
    if len(lines) != n or not all(line.strip() for line in lines):
        empty = sum(not line.strip() for line in lines)
        raise UsageError(
            f"{path}: {len(lines)} prompts ({empty} of them empty) for {n} images",
            hint=f"write one line for each image, or a .csv with columns {IMAGE} and {PROMPT}",
        )
    return tuple(line.strip() for line in lines)


def _csv(path: Path, text: str) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(csv.DictReader(text.splitlines()), start=2):
        yield _pair(row, f"{path}:{number}")


def _jsonl(path: Path, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{path}:{number}"
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{where}: not JSON ({error})", hint="write one object a line") from error
        yield _pair(row if isinstance(row, dict) else {}, where)


def _pair(row: Mapping[str, object], where: str) -> tuple[str, str]:
    image, prompt = row.get(IMAGE), row.get(PROMPT)
    if not (isinstance(image, str) and isinstance(prompt, str) and prompt.strip()):
        raise UsageError(f"{where}: no {IMAGE} and {PROMPT}", hint=f"name both in every row: {IMAGE}, {PROMPT}")
    return image, prompt.strip()


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
