"""Strict models: an error names the file, the key and the nearest valid one."""

import math
from datetime import date
from typing import Any

import pytest
from pydantic import Field

from genbench.errors import ConfigError
from genbench.schema import Strict, check, check_typed, load_toml


class Inner(Strict):
    size: int = Field(default=1, gt=0)
    colour: str = "red"


class Outer(Strict):
    name: str
    one: Inner | None = None
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = Field(default={})
    deep: dict[str, dict[str, Inner]] = Field(default={})
    plain: dict[str, bool | int | float | str | None] = Field(default={})
    anything: dict[str, Any] = Field(default={})


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        ({"name": "a", "nmae": 1}, "unknown key 'nmae'", "did you mean name or "),
        (
            {"name": "a", "zzz": 1},
            "unknown key 'zzz'",
            "valid keys here: anything, by_name, deep, many, name, one, plain",
        ),
        ({"name": "a", "one": {"sise": 1}}, "unknown key 'one.sise'", "did you mean size?"),
        ({"name": "a", "many": [{}, {"color": "x"}]}, "unknown key 'many.1.color'", "did you mean colour?"),
        ({"name": "a", "by_name": {"x": {"z": 1}}}, "unknown key 'by_name.x.z'", "valid keys here: colour, size"),
        ({"name": "a", "deep": {"x": {"y": {"sizes": 1}}}}, "unknown key 'deep.x.y.sizes'", "did you mean size?"),
        ({}, "key 'name' is missing", "add name = … to the file"),
        ({"name": 5}, "name: should be a valid string, not 5", "correct the value"),
        ({"name": "a", "one": {"size": 0}}, "one.size: should be greater than 0, not 0", "correct the value"),
        ({"name": "a", "plain": {"k": [1]}}, "plain.k: should be one of: true or false, a whole number", "correct"),
        ({"name": "a", "plain": {"k": math.nan}}, "plain.k: should be a finite number, not nan", "correct the value"),
        ([1], "content: should be a valid dictionary", "correct the value"),
    ],
)
def test_what_does_not_fit_is_named(data, message, hint):
    with pytest.raises(ConfigError) as caught:
        check(Outer, data, "x.toml")
    assert str(caught.value).startswith(f"x.toml: {message}")
    assert caught.value.hint.startswith(hint)


def test_the_first_of_several_errors_is_told_alone():
    """Two keys of one table that fail are not the branches of one union."""
    with pytest.raises(ConfigError, match=r"^x: one\.size: ") as caught:
        check(Outer, {"name": "a", "one": {"size": "a", "colour": 5}}, "x")
    assert "colour" not in str(caught.value)


def test_models_are_frozen():
    made = check(Outer, {"name": "a"}, "x")
    with pytest.raises(ValueError, match="frozen"):
        made.name = "b"


def test_a_file_is_read_as_utf8_toml(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text('name = "é"\n[one]\nsize = 3\n', encoding="utf-8")
    made = load_toml(Outer, path)
    assert (made.name, made.one) == ("é", Inner(size=3))


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read (No such file"), (b"name = ", "not valid TOML"), (b'name = "\xff"', "not valid TOML")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_toml(Outer, path)
    assert str(caught.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize(
    "data",
    [{"name": "a", "one": {"size": "4"}}, {"name": "a", "many": [{"size": True}]}, {"name": "a", "one": {"size": 4.0}}],
)
def test_text_and_truth_are_no_numbers_where_data_have_types(data):
    assert check(Outer, data, "x.csv")
    with pytest.raises(ConfigError, match=r"size: should be a valid integer, not "):
        check_typed(Outer, data, "x.toml")


def test_data_with_types_may_hold_lists_and_whole_numbers_for_others():
    class Numbers(Strict):
        many: tuple[float, ...]

    assert check_typed(Numbers, {"many": [1, 2.5]}, "x.toml").many == (1.0, 2.5)


def test_what_is_nested_without_end_is_refused_where_data_have_types():
    nested: dict[str, Any] = {}
    for _ in range(20_000):
        nested = {"a": nested}
    with pytest.raises(ConfigError, match=r"x\.toml: maximum recursion depth"):
        check_typed(Outer, {"name": "a", "anything": nested}, "x.toml")


def test_dates_are_refused_where_data_have_types():
    with pytest.raises(ConfigError, match=r"x\.toml: .*date"):
        check_typed(Outer, {"name": "a", "anything": {"x": date(2026, 1, 1)}}, "x.toml")
