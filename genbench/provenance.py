"""Where a number came from: versions, git state, hardware, and the flags that can move a digit."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from genbench import __version__
from genbench.schema import Strict

PACKAGES = ("torch", "numpy", "pillow", "duckdb", "safetensors", "torchvision")
"""Packages whose version can change a value."""


class Provenance(Strict):
    """How and where a record was made."""

    genbench: str
    """Version of genbench."""
    python: str
    packages: dict[str, str]
    commit: str | None
    """Git commit of the genbench checkout; none when it is not run from one."""
    dirty: bool | None
    """Whether that checkout had uncommitted changes to tracked files."""
    platform: str
    processor: str
    cores: int
    threads: int
    """Threads that torch computed with."""
    device: str
    """Name of the accelerator, or "cpu"."""
    tf32: bool
    deterministic: bool
    engine: str = "local"
    """Where shards were made: local, torchrun or ray."""
    argv: list[str]
    """The command line, less what URLs may hold of secrets: user, password and query."""


def collect(device: str, engine: str = "local") -> Provenance:
    """The provenance of this process, computing on `device` ("cpu", "cuda", "cuda:1", …) what `engine` made.

    Imports torch.
    """
    import torch

    commit, dirty = _git_state(Path(__file__).parent)
    return Provenance(
        genbench=__version__,
        python=platform.python_version(),
        packages=versions(),
        commit=commit,
        dirty=dirty,
        platform=platform.platform(),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        device=torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
        tf32=torch.backends.cuda.matmul.allow_tf32,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        engine=engine,
        argv=[Path(sys.argv[0]).name, *map(_without_secrets, sys.argv[1:])],
    )


def versions() -> dict[str, str]:
    """Of the packages that can change a value, in this process. Imports torch."""
    import torch

    # torch's own word names its build (+cpu, +cu132), which package metadata may leave out
    return {name: v for name in PACKAGES if (v := torch.__version__ if name == "torch" else _version(name))}


def _without_secrets(argument: str) -> str:
    """The argument with every URL cut down to what names a place: no ``user:password@``, no ``?token=…``.

    A password may hold what should have been quoted: the last @ ends it, and where no number follows ``user:``, which
    would be a port, it goes on beyond the characters that end an authority.
    """
    named = re.sub(r"(?<=://)(?:[^\s/?#]*@|[^\s/?#:@]*:(?!\d*(?:[\s/?#]|$))\S*@)", "", argument)
    return re.sub(r"(://[^\s?#]*)[?#]\S*", r"\1", named)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _git_state(package: Path) -> tuple[str | None, bool | None]:
    """Commit and dirty flag of the checkout that tracks the package; an installed wheel inside somebody's
    repository is not that repository's commit."""
    if not _git(package, "ls-files", "--", "__init__.py"):
        return None, None
    status = _git(package, "status", "--porcelain", "--untracked-files=no")
    return _git(package, "rev-parse", "HEAD"), None if status is None else bool(status)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
