"""Keys of cards, suites and presets: pydantic's fields, explained by the docstrings below them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from genbench.cards import DecoderCard, MethodCard
from genbench.methods.catalog import FAMILIES
from genbench.methods.families import import_object
from genbench.methods.settings import NetworkSettings
from genbench.suites import ReconstructionSuite, Suite
from tools.reference.markdown import code, page, prose, table
from tools.reference.types import in_words


def cards() -> str:
    """The page of method cards and of decoders' files."""
    return page(
        "Keys of a card",
        "`registry/<method>.toml` holds a method; an unknown key is an error that names the nearest valid one. What "
        "stands under `network` and in a preset is checked by the method's family: [presets](presets.md).",
        *_sections(MethodCard),
        "A decoder of latents has a file of its own, `registry/decoders/<name>.toml`:",
        *_sections(DecoderCard, known=set(_within(MethodCard))),
    )


def suites() -> str:
    """The page of suites."""
    return page(
        "Keys of a suite",
        "`suites/<id>.toml` holds a protocol, for generative models or, with `kind`, for autoencoders.",
        *_sections(Suite),
        *_sections(ReconstructionSuite, known=set(_within(Suite))),
    )


def presets() -> str:
    """The page of presets: what `[variants.NAME.presets]` and `--set` may hold, by family."""
    shared, parts = NetworkSettings.model_fields, []
    for name, family in settings_models().items():
        inherited = shared if issubclass(family, NetworkSettings) else {}
        keys = {key: field for key, field in family.model_fields.items() if key not in inherited}
        note = "" if inherited else "Does not have the shared keys."
        parts += [f"## {name}", prose(inspect.getdoc(family)), note, _keys(family, keys)]
    return page(
        "Keys of a preset",
        "Sampler settings, in a card's presets and in `genbench run --set key=value`. Presets of a class of your own "
        "hold what the class reads. Families of genbench share, but where it is said:",
        _keys(NetworkSettings, shared),
        *parts,
    )


def settings_models() -> dict[str, type[BaseModel]]:
    """The model of its presets for every family that has one."""
    return {name: import_object(family.settings, name) for name, family in FAMILIES.items() if family.settings}


def explanations(model: type[BaseModel]) -> dict[str, str]:
    """The docstring below each field, its own or the nearest base's."""
    said: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            said |= _said(base)
    return said


@cache
def _said(model: type[BaseModel]) -> Mapping[str, str]:
    body = ast.parse(inspect.getsource(model)).body[0]
    assert isinstance(body, ast.ClassDef)
    said = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                said[name] = inspect.cleandoc(text)
    return said


def _within(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and those of its fields, each once, outer ones first."""
    found = [model]
    for each in found:
        for field in each.model_fields.values():
            found += [inner for inner in _models(field.annotation) if inner not in found]
    return iter(found)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


def _sections(model: type[BaseModel], known: set[type[BaseModel]] | None = None) -> list[str]:
    return [
        part
        for each in _within(model)
        if each not in (known or ())
        for part in (f"## {each.__name__}", prose(inspect.getdoc(each)), _keys(each, each.model_fields))
    ]


def _keys(model: type[BaseModel], fields: Mapping[str, FieldInfo]) -> str:
    said = explanations(model)
    rows = [(code(key), in_words(f.annotation), _default(f), prose(said.get(key))) for key, f in fields.items()]
    return table(("key", "is", "default", "means"), rows)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if value in (None, (), {}) else code(str(value).lower() if isinstance(value, bool) else value)
