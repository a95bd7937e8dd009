"""Pydantic at the file boundary: strict models; errors name the file, the key and the nearest valid one."""

from __future__ import annotations

import json
import tomllib
import typing
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails

from genbench.errors import ConfigError, nearest


class Strict(BaseModel):
    """A frozen model that refuses unknown keys, NaN and infinity, which no digest can cover, and numbers that neither
    the store nor torch holds: whole ones beyond 64 bits."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _of_64_bits(cls, value: Any) -> Any:
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise ValueError("a whole number beyond 64 bits")
        return value


Model = TypeVar("Model", bound=BaseModel)

_PLAIN = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "text"}


def load_toml(model: type[Model], path: Path) -> Model:
    """Read one TOML file as `model`.

    Raises `ConfigError` for a file that cannot be read, is not TOML, or does not fit the model.
    """
    return check_typed(model, read_toml(path), str(path))


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file. Raises `ConfigError` for one that cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", hint="check the path and its mode") from error
    except (ValueError, RecursionError) as error:  # also for numbers of thousands of digits, and for deep nesting
        raise ConfigError(f"{path}: not valid TOML: {error}", hint="https://toml.io describes the format") from error


def load_json(path: Path) -> Any:
    """The content of a JSON file. Raises `ConfigError` for one that cannot be read or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror})", hint="check the path and its mode") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid JSON: {error}", hint="restore the file") from error


def check(model: type[Model], data: Any, where: str) -> Model:
    """Validate plain data; `where` is the file (or option) that an error names. Text may stand for a number."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise _explain(model, _first(error.errors()), where) from error


def check_typed(model: type[Model], data: Any, where: str) -> Model:
    """As `check`, of data that have types, as TOML's do: text is no number, and neither is ``true``.

    What is used as it was written, such as a network's arguments, would otherwise not be what was checked.
    """
    try:
        text = json.dumps(data)  # only of JSON does pydantic know that it has one kind of list
    except TypeError as error:
        raise ConfigError(f"{where}: {error}", hint="dates and times have no place here") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, and deep nesting
        raise ConfigError(f"{where}: {error}", hint="correct the value") from error
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        raise _explain(model, _first(error.errors()), where) from error


def _first(errors: list[ErrorDetails]) -> ErrorDetails:
    """The error to tell: an unknown key before what is missing, because a key that is misspelt is both.

    Of pydantic's one for each member of a union (``key.bool``, ``key.int``, …), one of the key.
    """
    first = next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])
    if first["loc"][-1:] != ("bool",):
        return first
    members = [error for error in errors if error["loc"][:-1] == first["loc"][:-1] and error["loc"][-1] in _PLAIN]
    reasons = {error["type"]: error["msg"] for error in members}
    message = reasons.get("finite_number", f"should be one of: {', '.join(_PLAIN.values())}")
    return {**first, "loc": first["loc"][:-1], "msg": message}


def _explain(model: type[BaseModel], error: ErrorDetails, where: str) -> ConfigError:
    location = [str(part) for part in error["loc"] if part != "[key]"]
    key = ".".join(location)
    if error["type"] == "extra_forbidden":
        known = _keys(model, error["loc"][:-1])
        close = nearest(location[-1], known)
        hint = f"did you mean {' or '.join(close)}?" if close else f"valid keys here: {', '.join(known)}"
        return ConfigError(f"{where}: unknown key {key!r}", hint=hint)
    if error["type"] == "missing":
        return ConfigError(f"{where}: key {key!r} is missing", hint=f"add {location[-1]} = … to the file")
    given = f", not {error['input']!r}" if isinstance(error["input"], str | int | float | bool) else ""
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return ConfigError(f"{where}: {key or 'content'}: {message}{given}", hint="correct the value")


def _keys(model: Any, location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the model that stands at `location` inside `model`."""
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel):
            field = model.model_fields.get(str(part))
            model = field.annotation if field else None
        else:  # dict[str, Model] or tuple[Model, ...]: the part is a key or an index
            inside = [argument for argument in typing.get_args(model) if argument is not ...]
            model = inside[-1] if inside else None
        while typing.get_origin(model) in (typing.Union, type(int | str)):
            model = next((a for a in typing.get_args(model) if a is not type(None)), None)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return sorted(model.model_fields)
    return []
