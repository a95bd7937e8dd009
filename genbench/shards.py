"""The feature cache: shards of consecutive images, complete or absent, keyed by what the images and the space are.

Layout: ``<cache>/features/<images digest>/<space>-<space digest, 12 digits>/<first>-<size>.npy``, where the images
digest covers everything that can change a pixel, labels included, or the content of files. A shard is a NumPy file
followed by a trailer (16 bytes of magic, SHA-256 of all before), which NumPy ignores: a torn or altered shard is
noticed and made again. Beside the spaces stands ``facts/<first>-<size>.json``: what making the shard took, and what
the images looked like; and ``influence/``, tables of what each image does to a Fréchet distance.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from genbench import console, remote
from genbench.errors import FeatureError, StoreError
from genbench.files import files_below, is_temporary, portable_name, write_atomically

MAGIC = b"genbench-shard-1"
TRAILER = len(MAGIC) + hashlib.sha256().digest_size
SHARD_IMAGES = 1000
"""Images in a full shard, unless a caller says otherwise."""


class Shard(NamedTuple):
    """Images ``first`` to ``first + size - 1``: seeds of a sampler, positions of a source of files."""

    first: int
    size: int

    @property
    def stem(self) -> str:
        """File name without suffix; sorts by `first`."""
        return f"{self.first:010d}-{self.size:04d}"


def split(first: int, count: int, size: int | None = None) -> list[Shard]:
    """Shards of `size` images (1,000) that cover ``count`` images from ``first``; the last one may be shorter."""
    size = size or SHARD_IMAGES
    return [Shard(first + start, min(size, count - start)) for start in range(0, count, size)]


def covering(shards: Sequence[Shard], first: int, count: int) -> tuple[Shard, ...] | None:
    """Shards that follow one another from image `first` and hold `count` images or more; none where some are missing.

    Runs of other lengths and with shards of other sizes leave shards of the same images beside one another.
    """
    chains: dict[int, tuple[Shard, ...]] = {first: ()}
    for shard in sorted(shards):
        if shard.first in chains:
            chains.setdefault(shard.first + shard.size, (*chains[shard.first], shard))
    ends = [end for end in chains if end >= first + count]
    return chains[min(ends)] if ends else None


class Entry(NamedTuple):
    """What the cache holds of one set of images."""

    folder: Path
    about: str
    """The run or path that the images came from."""
    spaces: tuple[str, ...]
    shards: int
    size: int
    """Bytes."""
    used: float
    """Time of the latest change, seconds since the epoch."""


class ShardCache:
    """Feature shards below one folder."""

    def __init__(self, cache: Path) -> None:
        self.root = cache / "features"

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other machines, which get a working copy of their own where it is one here."""
        there = remote.remote_of(self.root)
        return {"root": self.root, "address": there.address if there else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.root = state["root"]
        if state["address"]:
            remote.mark(self.root, state["address"])

    def look_again(self) -> None:
        """Let `has` see what other machines have written since it looked."""
        if there := remote.remote_of(self.root):
            there.look_again()

    def _path(self, images: str, space: str, shard: Shard) -> Path:
        return self.root / images / space / f"{shard.stem}.npy"

    def has(self, images: str, space: str, shard: Shard) -> bool:
        """Whether a sound shard is there. A damaged one is removed, and said so.

        Args:
            images: digest of the images.
            space: folder name of the space (see `space_folder`).
            shard: which images.
        """
        path = self._path(images, space, shard)
        if not remote.present(path):
            return False
        try:
            if _sound(path):
                return True
        except FileNotFoundError:  # pruned meanwhile
            return False
        console.warn(f"{path}: damaged shard, made again")
        path.unlink(missing_ok=True)
        return False

    def shards(self, images: str, space: str) -> list[Shard]:
        """The shards of a space that are there and sound, by their first image."""
        stems = [name.removesuffix(".npy").split("-") for name in remote.names(self.root / images / space, ".npy")]
        known = [Shard(int(first), int(size)) for first, size in stems]
        return [shard for shard in known if self.has(images, space, shard)]

    def read(self, images: str, space: str, shard: Shard) -> npt.NDArray[Any]:
        """The shard's array, memory-mapped and read-only, (size, ...).

        Raises `StoreError` for one that was pruned since `has` found it.
        """
        path = self._path(images, space, shard)
        try:
            array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise StoreError(
                f"{path}: was removed while it was needed",
                hint="run the same command again, and prune the cache when none runs",
            ) from error
        return array

    def write(self, images: str, space: str, shard: Shard, array: npt.NDArray[Any]) -> None:
        """Write a shard: complete after a crash at any moment, or absent.

        Raises `StoreError` when the cache cannot be written.
        """
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
        data = buffer.getbuffer()
        self._put(self._path(images, space, shard), data, MAGIC, hashlib.sha256(data).digest())

    def write_facts(self, images: str, shard: Shard, facts: Mapping[str, Any]) -> None:
        """Keep what making a shard took. Written before the shard itself, so that a complete shard has its facts."""
        path = self.root / images / "facts" / f"{shard.stem}.json"
        self._put(path, json.dumps(facts, sort_keys=True).encode())

    def read_facts(self, images: str, shard: Shard) -> dict[str, Any] | None:
        """What `write_facts` kept; none where nothing readable is there."""
        path = self.root / images / "facts" / f"{shard.stem}.json"
        try:
            facts = json.loads(path.read_bytes()) if remote.present(path) else None
        except (OSError, ValueError):
            return None
        return facts if isinstance(facts, dict) else None

    def keep_influence(self, images: str, stem: str, make: Callable[[], bytes]) -> str:
        """Keep the table of influences, a Parquet file, that `make` gives, unless one of that stem is there already.

        Returns where it is below the cache folder. Raises `StoreError` when the cache cannot be written.
        """
        path = self.root / images / "influence" / f"{stem}.parquet"
        if not remote.present(path):
            self._put(path, make())
        return path.relative_to(self.root.parent).as_posix()

    def describe(self, images: str, about: str) -> None:
        """Say for people which run or path a digest stands for."""
        path = self.root / images / "about.txt"
        if not remote.present(path):
            self._put(path, about.encode())

    def _put(self, path: Path, *parts: bytes | memoryview) -> None:
        try:
            write_atomically(path, *parts)
        except OSError as error:
            raise StoreError(
                f"{path.parent}: the cache cannot be written ({error.strerror})",
                hint="free some space, or name another folder with --cache",
            ) from error
        remote.send(path)

    def entries(self) -> Iterator[Entry]:
        """What the cache holds, one entry for each set of images. Other processes may write and prune meanwhile."""
        for folder in sorted(self.root.glob("*")):
            files = dict(_complete(folder))
            if not folder.is_dir():
                continue
            shards = [path for path in files if _is_shard(path, folder)]
            yield Entry(
                folder=folder,
                about=_about(folder),
                spaces=tuple(sorted({path.parent.name for path in shards})),
                shards=len(shards),
                size=sum(stat.st_size for stat in files.values()),
                used=max((stat.st_mtime for stat in files.values()), default=0.0),
            )

    def damaged(self) -> Iterator[Path]:
        """Every shard that is not what was written."""
        for folder in sorted(self.root.glob("*")):
            for path in files_below(folder):
                if _is_shard(path, folder) and not _sound_or_gone(path):
                    yield path

    def remove(self, entry: Entry) -> None:
        """Delete everything of one set of images, but what a process is writing.

        Raises `StoreError` for a file that cannot be removed.
        """
        for parent, _, names in os.walk(entry.folder, topdown=False):
            for path in (Path(parent, name) for name in names if not is_temporary(name)):
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    raise StoreError(f"{path}: cannot be removed ({error.strerror})", hint="check its mode") from error
            with suppress(OSError):  # something is being written there
                Path(parent).rmdir()


def space_folder(name: str, digest: str) -> str:
    """Folder of a feature space: readable, and told apart by its digest."""
    return f"{portable_name(name)}-{digest[:12]}"


def joined(space: str, arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Arrays (n, ...) of consecutive images, one after the other.

    Raises `FeatureError` where features follow the size of the image and images are of several sizes.
    """
    if len({array.shape[1:] for array in arrays}) > 1:
        raise FeatureError(
            f"{space} follows the size of the image, and the images are of several sizes",
            hint="bring all images to one size by a rule that you state, or leave the metrics of this space out",
        )
    return np.concatenate(arrays)


def _complete(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file below a folder that is not being written."""
    for path in files_below(folder):
        if is_temporary(path.name):
            continue
        try:
            stat = path.stat()
        except FileNotFoundError:  # pruned meanwhile
            continue
        yield path, stat


def _about(folder: Path) -> str:
    try:
        return (folder / "about.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "?"


def _is_shard(path: Path, folder: Path) -> bool:
    """Whether a file is a shard of the images whose folder that is."""
    return path.suffix == ".npy" and path.parent.parent == folder


def _sound_or_gone(path: Path) -> bool:
    try:
        return _sound(path)
    except FileNotFoundError:  # pruned meanwhile
        return True


def _sound(path: Path) -> bool:
    size = path.stat().st_size - TRAILER
    if size <= 0:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = size
        while left:
            block = file.read(min(left, 1 << 20))
            if not block:
                return False
            digest.update(block)
            left -= len(block)
        return file.read() == MAGIC + digest.digest()
