"""Malformed copies of sound data: of bytes, of the plain data that TOML and JSON hold, and of their text.

Everything is drawn from the `random.Random` that is handed in, so that a seed names an input.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import tomli_w

_LIMITS = (0, 1, 2**7 - 1, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)
"""Values where lengths, offsets and signs break."""

Place = tuple[dict[str, Any] | list[Any], Any]
"""A container and the key or index of something in it."""


def damaged(data: bytes, rng: Random) -> bytes:
    """A copy with one to four edits, as a broken disk, a cut transfer or an attacker would make them."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_EDITS)(data, rng)
    return data


def _span(data: bytes, rng: Random, longest: int = 64) -> tuple[int, int]:
    start = rng.randint(0, len(data))
    return start, min(len(data), start + rng.randint(1, longest))


def _flip(data: bytes, rng: Random) -> bytes:
    if not data:
        return b"\1"
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _number(data: bytes, rng: Random) -> bytes:
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice(_LIMITS) % (1 << 8 * width)
    start = rng.randint(0, max(0, len(data) - width))
    return data[:start] + value.to_bytes(width, rng.choice(("little", "big"))) + data[start + width :]


def _digits(data: bytes, rng: Random) -> bytes:
    found = list(re.finditer(rb"\d+", data[:65536]))
    if not found:
        return _flip(data, rng)
    start, end = rng.choice(found).span()
    written = rng.choice((b"-1", b"0", b"1e999", b"9" * 20, b"9" * 5000, b"0x10", b"NaN", b"1.5"))
    return data[:start] + written + data[end:]


def _cut(data: bytes, rng: Random) -> bytes:
    return data[: rng.randint(0, len(data))]


def _drop(data: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def _repeat(data: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng, 4096)
    return data[:end] + data[start:end] * rng.randint(1, 8) + data[end:]


def _splice(data: bytes, rng: Random) -> bytes:
    (start, end), place = _span(data, rng), rng.randint(0, len(data))
    return data[:place] + data[start:end] + data[place + end - start :]


def _insert(data: bytes, rng: Random) -> bytes:
    place = rng.randint(0, len(data))
    return data[:place] + rng.randbytes(rng.randint(1, 16)) + data[place:]


def _blank(data: bytes, rng: Random) -> bytes:
    start, end = _span(data, rng, 256)
    return data[:start] + bytes([rng.choice((0, 255))]) * (end - start) + data[end:]


_EDITS: tuple[Callable[[bytes, Random], bytes], ...] = (
    _flip,
    _number,
    _digits,
    _cut,
    _drop,
    _repeat,
    _splice,
    _insert,
    _blank,
)


def warped(data: Any, rng: Random) -> Any:
    """A copy of plain data with one to three values, keys or items that do not belong there.

    Numbers of a size that only means more work, as a million steps do, are none of them.
    """
    data = copy.deepcopy(data)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(data))
        if not places:
            return odd(rng)
        rng.choice((_replace, _replace, _replace, _remove, _misspell, _add, _nest))(rng.choice(places), rng)
    return data


def _places(data: Any) -> Iterator[Place]:
    keys = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    for key in keys:
        yield data, key
        yield from _places(data[key])


def odd(rng: Random) -> Any:
    """A value that few keys take; a number, more often than not, that is too large, too small or no number at all."""
    values: tuple[Any, ...] = (
        *(0, -1, -(2**31), 2**63, 2**64, 10**30, -(10**30)),
        *(0.0, -0.5, 1.5, 1e-300, 1e308, math.nan, math.inf, -math.inf),
        *(True, False, None, "", " ", "true", "1", "\0", "\n", "é", "\u202e", "a" * 3000, "../../../etc/passwd"),
        *("/dev/zero", "file:///etc/passwd", "{class}", "${HOME}", "os:system", "*", "[", "@", "a@b", "CON", "-rf"),
        *([], {}, [[]], [1, "a", None], {"": 1}, {"a": {"b": {}}}, [0] * 500),
    )
    return copy.deepcopy(rng.choice(values))


def _replace(place: Place, rng: Random) -> None:
    container, key = place
    container[key] = odd(rng)


def _remove(place: Place, _: Random) -> None:
    container, key = place
    if isinstance(container, dict):
        container.pop(key, None)
    else:
        del container[key : key + 1]


def _misspell(place: Place, rng: Random) -> None:
    container, key = place
    if isinstance(container, dict) and key in container:
        start = rng.randint(0, len(key))
        container[key[:start] + rng.choice(("x", "_", " ", "é", "\0", "")) + key[start + 1 :]] = container.pop(key)


def _add(place: Place, rng: Random) -> None:
    container, _ = place
    if isinstance(container, dict):
        container[rng.choice(("extra", "", "__class__", "steps", "network", "0"))] = odd(rng)
    else:
        container.append(odd(rng))


def _nest(place: Place, rng: Random) -> None:
    container, key = place
    value = container[key]
    container[key] = rng.choice(([value], {"value": value}, [value, value]))


def toml(data: dict[str, Any]) -> bytes:
    """Plain data as TOML, which has no null: what holds one is left out."""
    return tomli_w.dumps(_without_none(data)).encode("utf-8", "surrogatepass")


def _without_none(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _without_none(value) for key, value in data.items() if value is not None}
    if isinstance(data, list):
        return [_without_none(value) for value in data if value is not None]
    return data


def json_text(data: Any) -> bytes:
    """Plain data as JSON, NaN and all."""
    return json.dumps(data).encode()


def document(sound: Any, write: Callable[[Any], bytes], rng: Random) -> bytes:
    """A malformed TOML or JSON file: of wrong content, of damaged text, or made to exhaust a parser."""
    match rng.randrange(8):
        case 0:
            return _hostile(write(sound), rng)
        case 1 | 2:
            return damaged(write(sound), rng)
        case _:
            return write(warped(sound, rng))


def _hostile(text: bytes, rng: Random) -> bytes:
    """Text that a parser may fail on in a way of its own."""
    lines = text.splitlines(keepends=True)
    return rng.choice(
        (
            b"",
            b"\0" * rng.randint(1, 64),
            b"\xef\xbb\xbf" + text,
            text.decode().encode("utf-16"),
            text + b"\xff\xfe",
            text + rng.choice(lines) if lines else b"\n",
            b"[" * 100_000,
            b"a = " + b"[" * 50_000,
            b"a = " + b"{a=" * 50_000,
            b'{"a":' * 50_000,
            b"a = " + b"9" * 5000,
            b'{"schema_version": ' + b"9" * 5000 + b"}",
            b"a = 9999-99-99T99:99:99",
            b'a = "' + b"x" * 100_000,
            b"a." * 5000 + b"a = 1",
            b'"\\ud800"',
        )
    )
