"""Where registry, suites, results and cache lie."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from genbench import remote
from genbench.errors import UsageError

PACKAGE = Path(__file__).parent

RECORD_DEPTH = 3
"""Records and previews lie in ``<results>/<suite>/<run>/``."""


def data_folders(kind: str, option: Path | None) -> list[Path]:
    """Folders searched for `kind` ("registry" or "suites"), first match first.

    In order: the command-line option, the environment variable ``GENBENCH_REGISTRY`` or ``GENBENCH_SUITES``, the
    working directory, the copy that comes with the package (beside it in a source checkout).

    Raises `UsageError` when the option or the variable names something that is not a folder.
    """
    variable = f"GENBENCH_{kind.upper()}"
    asked = {f"--{kind}": option, variable: Path(value) if (value := os.environ.get(variable)) else None}
    for source, folder in asked.items():
        if folder and not folder.is_dir():
            raise UsageError(f"{source} {folder}: no such folder", hint="name another, or leave it out")
    named = [folder for folder in asked.values() if folder]
    found: list[Path] = []
    for folder in [*named, Path.cwd() / kind, PACKAGE / "_packaged" / kind, PACKAGE.parent / kind]:
        resolved = folder.resolve()
        if resolved.is_dir() and resolved not in found:
            found.append(resolved)
    return found


def first_of_each(folders: Iterable[Path], *patterns: str) -> dict[str, Path]:
    """The file of each name, its suffix left out, from the first folder that has it, there by the first pattern.

    Sorted by name. What is hidden, as editors' locks are, and what is no file, such as a link that leads nowhere, is
    passed over.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for path in (path for pattern in patterns for path in folder.glob(pattern)):
            if not path.name.startswith(".") and path.is_file():
                found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def results_path(text: str) -> Path:
    """The folder that a user names for results; of a remote one, its working copy.

    Raises what `genbench.remote.working_copy` raises.
    """
    return remote.working_copy(text, _own_folder() / "copies") if remote.is_address(text) else Path(text)


def cache_path(text: str) -> Path:
    """The folder that a user names for the cache; of a remote one, the folder here that has its features in common.

    Weights stay on this machine: they come from where they are published. Raises what `genbench.remote.working_copy`
    raises.
    """
    if remote.is_address(text):
        return remote.working_copy(text, _own_folder() / "copies", part="features")
    return Path(text)


def results_folder(option: Path | None) -> Path:
    """``--results``, else ``GENBENCH_RESULTS``, else ``results`` in the working directory.

    The working copy of a remote folder is brought up to date, and sends what could not be sent when it was written.
    Raises `StoreError` when the remote folder cannot be reached.
    """
    folder = option or results_path(os.environ.get("GENBENCH_RESULTS") or "results")
    if there := remote.remote_of(folder):
        there.exchange(RECORD_DEPTH)
    return folder


def cache_folder(option: Path | None) -> Path:
    """``--cache``, else ``GENBENCH_CACHE``, else ``genbench`` in the user's cache folder (XDG)."""
    return option or cache_path(os.environ.get("GENBENCH_CACHE") or str(_own_folder()))


def _own_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genbench"
