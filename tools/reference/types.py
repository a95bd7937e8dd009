"""Types of keys and options in words."""

from __future__ import annotations

import types
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from tools.reference.markdown import code

_PLAIN = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "path", Any: "anything"}


def in_words(annotation: Any) -> str:
    """What a value of this type is; None is left out, models are links to their section.

    Raises `KeyError` for a type that no key or option has yet.
    """
    if get_origin(annotation) is not None:
        return _composed(get_origin(annotation), get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(code(member.value) for member in annotation)
    return _PLAIN[annotation]


def _composed(origin: Any, arguments: tuple[Any, ...]) -> str:
    if origin is Literal:
        return ", ".join(map(code, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(in_words(each) for each in arguments if each is not type(None)))
    # Annotated[T, …] is of its first argument, tuple[T, ...] and list[T] too; dict[str, T] of its last.
    inside = in_words(arguments[-1] if origin is dict else arguments[0])
    return {dict: f"table of {inside}", Annotated: inside}.get(origin, f"list of {inside}")
