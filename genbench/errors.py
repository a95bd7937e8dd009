"""The exceptions of genbench.

    GenbenchError              exit code 3 unless a subclass says otherwise
      UsageError               2: an unknown name, an option that makes no sense, too few images
      ConfigError              2: a card, suite or settings value that is not valid (file, key)
      ImageError               2: images that cannot be read, or are not what the protocol asks for
      FeatureError             2: features or references that a metric cannot be computed from honestly
      WeightsError             2: a weight or reference file that is missing, altered or unsafe
      StoreError               2: results, records or the DuckDB store cannot be read or written
      RunFailedError           1: the question was fine, the answer is no

Every error carries what went wrong and where (`str(error)`) and what to do next (`error.hint`); the command line prints
them as two lines.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import partial


class GenbenchError(Exception):
    """Something that genbench can explain: what and where, and the next thing to do."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[partial[GenbenchError], tuple[object, ...]]:
        """Errors go from the process that met them to the one that tells them."""
        return partial(type(self), hint=self.hint), self.args


class UsageError(GenbenchError):
    """The request names something that does not exist, or asks for what cannot be."""

    exit_code = 2


class ConfigError(GenbenchError):
    """A card, a suite or a setting is not valid; the message names the file and the key."""

    exit_code = 2


class ImageError(GenbenchError):
    """Images cannot be read, or are not what the protocol asks for."""

    exit_code = 2


class FeatureError(GenbenchError):
    """A metric cannot be computed honestly from these features and this reference."""

    exit_code = 2


class WeightsError(GenbenchError):
    """A file from outside is missing, is not the one that was published, or is not safe to load."""

    exit_code = 2


class StoreError(GenbenchError):
    """Records, results or the store cannot be read or written."""

    exit_code = 2


class RunFailedError(GenbenchError):
    """The command was understood and carried out, and its answer is no."""

    exit_code = 1


def nearest(name: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """The known names most like `name`, best first."""
    by_fold = {k.casefold(): k for k in known}
    return [by_fold[m] for m in difflib.get_close_matches(name.casefold(), by_fold, n=limit, cutoff=0.5)]


def unknown(kind: str, name: str, known: Iterable[str], *, where: str = "", lister: str = "") -> UsageError:
    """The error for a name that is not known, with the nearest names, or the command that lists them, as its hint."""
    known = sorted(known)
    close = nearest(name, known)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif lister:
        hint = f"`{lister}` lists the known ones"
    else:
        hint = f"known: {', '.join(known) or 'none'}"
    place = f" in {where}" if where else ""
    return UsageError(f"no {kind} named {name!r}{place}", hint=hint)
