"""Baselines: earlier results as a store of their own, whatever they were kept in."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from genbench import console
from genbench.errors import UsageError
from genbench.records import record_files
from genbench.store import Store
from genbench.store.exchange import merge

_KINDS = "name a folder of records, a records.parquet, or a git revision such as main"


@contextmanager
def open_baseline(name: str, results: Path) -> Iterator[Store]:
    """The store of a baseline: a folder of records, a Parquet file of records, or a git revision.

    A path that exists is taken for one; anything else names a revision (a branch, a tag, a commit), whose copy of the
    folder `results` counts. Records of older schemas are read as they are; edited ones are left out and named.

    Raises `UsageError` for a name that is none of these, for a folder or a revision without results, and for `results`
    itself.
    """
    if not name:  # as a path it would be the working directory
        raise UsageError("the name of the baseline is empty", hint=_KINDS)
    path = Path(name)
    if _exists(path) and path.is_dir():
        if path.resolve() == results.resolve():
            raise UsageError(
                f"{name}: baseline and results are the same folder",
                hint="name a git revision, such as HEAD or main, or a copy of earlier results",
            )
        if next(record_files(path), None) is None:
            raise UsageError(f"{name}: a folder without records", hint=_KINDS)
        with Store.open(path) as store:
            yield store
        return
    with TemporaryDirectory(prefix="genbench-baseline-") as temporary:
        folder = Path(temporary)
        if _exists(path):
            _unpack_records(path, folder)
        else:
            _unpack_revision(name, results, folder)
        with Store.open(folder) as store:
            yield store


def _exists(path: Path) -> bool:
    """Whether there is something of that name; not for what is too long to be one."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _unpack_records(file: Path, folder: Path) -> None:
    for reason in merge(folder, [file]).left_out:
        console.warn(f"left out: {reason}")


def _unpack_revision(revision: str, results: Path, folder: Path) -> None:
    parent = next(p for p in results.resolve().parents if p.is_dir())
    inside = results.resolve().relative_to(parent).as_posix()
    if _git(parent, "rev-parse", "--git-dir") is None:
        raise UsageError(f"{revision}: no such file or folder, and {parent} is in no git repository", hint=_KINDS)
    if revision.startswith("-") or _git(parent, "rev-parse", "--verify", f"{revision}^{{commit}}") is None:
        raise UsageError(f"{revision}: no such file, folder or git revision", hint=f"{_KINDS}; `git fetch` gets more")
    archive = _git(parent, "archive", "--format=tar", revision, inside)
    if archive is None:
        raise UsageError(
            f"git revision {revision} has no {inside}", hint="commit records there, or name a folder with --baseline"
        )
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            parts = Path(member.name).relative_to(inside).parts
            # <suite>/<run>/<record>.json is all that a store reads.
            if content is not None and len(parts) == 3 and member.name.endswith(".json") and ".." not in parts:
                target = folder.joinpath(*parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.read())


def _git(folder: Path, *arguments: str) -> bytes | None:
    """What git says; None when it refuses, or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
