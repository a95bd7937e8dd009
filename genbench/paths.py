"""Where registry, suites, results and cache lie."""

from __future__ import annotations

import os
from pathlib import Path

from genbench.errors import UsageError

PACKAGE = Path(__file__).parent


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


def results_folder(option: Path | None) -> Path:
    """``--results``, else ``GENBENCH_RESULTS``, else ``results`` in the working directory."""
    return option or Path(os.environ.get("GENBENCH_RESULTS") or "results")


def cache_folder(option: Path | None) -> Path:
    """``--cache``, else ``GENBENCH_CACHE``, else ``genbench`` in the user's cache folder (XDG)."""
    if option:
        return option
    if variable := os.environ.get("GENBENCH_CACHE"):
        return Path(variable)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genbench"
