"""Where registry, suites, results and cache lie."""

from __future__ import annotations

import os
from pathlib import Path

PACKAGE = Path(__file__).parent


def data_folders(kind: str, option: Path | None) -> list[Path]:
    """Folders searched for `kind` ("registry" or "suites"), first match first.

    In order: the command-line option, the environment variable ``GENBENCH_REGISTRY`` or ``GENBENCH_SUITES``, the
    working directory, the copy that comes with the package (beside it in a source checkout).
    """
    candidates = [option] if option else []
    if variable := os.environ.get(f"GENBENCH_{kind.upper()}"):
        candidates.append(Path(variable))
    candidates += [Path.cwd() / kind, PACKAGE / "_packaged" / kind, PACKAGE.parent / kind]
    found: list[Path] = []
    for folder in candidates:
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
