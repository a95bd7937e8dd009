"""How a card's ``sampler`` names a family, and how its class is built. Imports no torch by itself."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genbench.digest import digest_file
from genbench.errors import ConfigError, nearest, unknown
from genbench.methods.catalog import FAMILIES, Family, Sampler, SamplerClass
from genbench.schema import Strict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genbench.methods.latents.decoder import PixelDecoder

ENTRY_POINTS = "genbench.samplers"
"""Entry-point group by which installed packages offer sampler classes, each under a family's name."""


def family(name: str, where: str) -> Family:
    """The family of that name: genbench's, an installed package's, or the user's own class as ``module:Class``.

    The version of a class that is not genbench's is the SHA-256 of the file that defines it, so that editing it changes
    run digests.
    Raises `UsageError` for an unknown family, and `ConfigError` for a class that cannot be imported or has no source.
    """
    if ":" not in name:
        if name in FAMILIES:
            return FAMILIES[name]
        offered = {entry.name: entry.value for entry in entry_points(group=ENTRY_POINTS)}
        if name not in offered:
            raise unknown("sampler family", name, [*FAMILIES, *offered], where=where)
        name = offered[name]
    target = import_object(name, where)
    try:
        source = inspect.getsourcefile(target)
    except TypeError:  # not a class or function, or one written in C
        source = None
    if source is None:
        raise ConfigError(
            f"{where}: sampler {name!r} is not a class of a Python file",
            hint="define the sampler class in a .py file: a run's digest covers that file",
        )
    return Family(name, None, None, digest_file(Path(source)))


def import_object(path: str, where: str) -> Any:
    """The object at ``module:name``.

    Raises `ConfigError` naming the card when it cannot be imported.
    """
    module_name, _, name = path.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), name]):
        raise ConfigError(f"{where}: sampler {path!r} is not module:Class", hint="for example my_package.sampler:Mine")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{where}: sampler {path!r}: no module named {error.name!r}",
            hint="put the module's folder on PYTHONPATH, or install it",
        ) from error
    except (ImportError, SyntaxError) as error:
        raise ConfigError(f"{where}: sampler {path!r}: {error}", hint=f"correct module {module_name}") from error
    if not hasattr(module, name):
        close = nearest(name, [known for known in vars(module) if not known.startswith("_")])
        raise ConfigError(
            f"{where}: sampler {path!r}: module {module_name!r} has no {name!r}",
            hint=f"did you mean {' or '.join(close)}?" if close else "name an existing class",
        )
    return getattr(module, name)


def network_model(chosen: Family, where: str) -> type[Strict] | None:
    """The pydantic model of a family's network arguments."""
    return import_object(chosen.network, where) if chosen.network else None


def settings_model(chosen: Family, where: str) -> type[Strict] | None:
    """The pydantic model of a family's presets."""
    return import_object(chosen.settings, where) if chosen.settings else None


def build_sampler(
    chosen: Family,
    where: str,
    *,
    network: Mapping[str, Any],
    settings: Mapping[str, Any],
    state: dict[str, Tensor] | None,
    device: torch.device,
    decoder: PixelDecoder | None,
    folder: Path | None = None,
) -> Sampler:
    """A family's sampler of one preset; `decoder` is the variant's, which a sampler of codes takes too.

    `folder` holds the files of a family that finds them itself.

    Raises what the class raises, as `ConfigError` where the class is not genbench's.
    """
    model = settings_model(chosen, where)
    build: SamplerClass = import_object(chosen.sampler, where)
    arguments: dict[str, Any] = {
        "network": network,
        "settings": model.model_validate(settings) if model else dict(settings),
        "state": state,
        "device": device,
        **({"tokenizer": decoder} if chosen.tokenizer else {}),
        **({"folder": folder} if chosen.files else {}),
    }
    if is_foreign(chosen):
        from genbench.methods.foreign import build_foreign

        return build_foreign(build, arguments)
    return build(**arguments)


def is_foreign(chosen: Family) -> bool:
    """Whether its class is a user's or an installed package's."""
    return chosen not in FAMILIES.values()
