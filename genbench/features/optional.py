"""Packages that only some feature spaces, or a report, need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from genbench.errors import UsageError


def required(module: str, *, by: str, extra: str = "encoders") -> Any:
    """The module; raises `UsageError` with the extra to install if it, or a module that it needs, is not there."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{by} needs the package {error.name}, which is not installed",
            hint=f'pip install "genbench[{extra}]"',
        ) from error
