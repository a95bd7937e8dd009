"""Malformed files of tensors: safetensors, torch.save's, torch.jit.save's, pickles, statistics of references."""

from __future__ import annotations

import io
import json
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from tests.fuzz.containers import malformed_npy, npy, zip_of
from tests.fuzz.mutations import damaged, warped


@cache
def safetensors() -> bytes:
    """A sound file of two tensors."""
    return save({"a.weight": torch.arange(12.0).view(3, 4), "b": torch.ones(5, dtype=torch.int64)}, {"note": "sound"})


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows it."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(header: Any, body: bytes, *, length: int | None = None) -> bytes:
    """A safetensors file with any header; `length` is what it says of itself."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", (len(text) if length is None else length) % 2**64) + text + body


def malformed_safetensors(rng: Random, sound: bytes | None = None) -> bytes:
    """A safetensors file with offsets that overlap, leave holes or leave the file, unknown types, or damage."""
    sound = safetensors() if sound is None else sound
    header, body = header_of(sound)
    entry = header[rng.choice([name for name in header if name != "__metadata__"])]
    match rng.randrange(8):
        case 0 | 1:
            return damaged(sound, rng)
        case 2:
            return with_header(warped(header, rng), body)
        case 3:
            entry["data_offsets"] = rng.choice(([0, 2**63], [0, 0], [8, 4], [-1, 4], [0, len(body)], [2**64, 1], [0]))
        case 4:
            entry["shape"] = rng.choice(([2**40, 2**40], [-1], [0], [], [2**64], ["3"], 3, [1] * 300))
        case 5:
            entry["dtype"] = rng.choice(("F128", "", "f32", "U8", "BOOL", "F8_E4M3", None, 3))
        case 6:
            return with_header(header, body, length=rng.choice((0, 1, 2**31, 2**63, 2**64 - 1)))
        case _:
            return with_header(rng.choice((b"{}", b"[]", b"[" * 5000, b'{"a":' * 5000, b"null", b'{"a":{}}')), body)
    return with_header(header, body)


@cache
def torch_file(legacy: bool = False) -> bytes:
    """What ``torch.save`` writes of a checkpoint with two state dicts."""
    out = io.BytesIO()
    state = {"w": torch.arange(12.0).view(3, 4), "b": torch.zeros(3)}
    torch.save({"ema": state, "model": state, "step": 7}, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


@cache
def _torchscript() -> bytes:
    """What ``torch.jit.save`` writes, as far as `genbench.torchscript` reads it."""
    with TemporaryDirectory() as folder:
        torch.save({"w": torch.ones(2)}, path := Path(folder) / "x.pt")
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(files)).partition("/")[0]
    return zip_of({**files, f"{root}/constants.pkl": pickle.dumps((), 2)}, zipfile.ZIP_STORED)


class _Call:
    """Pickled as the call of a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> Any:
        return self._call


def trap(marker: Path) -> Any:
    """An object whose unpickling makes the file `marker`."""
    return _Call(Path.touch, marker)


def _pickle(rng: Random, marker: Path) -> bytes:
    """A bare pickle: of a call, of plain data that is no network, with strange opcodes, or damaged."""
    plain = {"a": [1, 2.5, None, (True, b"x")], "b": {1, 2}}
    match rng.randrange(5):
        case 0:
            return pickle.dumps(trap(marker), rng.choice((2, 4)))
        case 1:
            return pickle.dumps(rng.choice((plain, [], 3, None, "text", {"_parameters": {}, "_modules": {}})), 4)
        case 2:
            loop: list[Any] = []
            loop.append(loop)
            return pickle.dumps({"a": loop}, 2)
        case 3:
            opcodes = [ord(opcode.code) for opcode in pickletools.opcodes]
            return b"\x80\x04" + bytes(rng.choices(opcodes, k=rng.randint(0, 30))) + b"."
        case _:
            return damaged(pickle.dumps(plain, rng.choice((2, 4))), rng)


def _archive_with_pickle(rng: Random, marker: Path) -> bytes:
    """A zip file as ``torch.save`` writes it, with another pickle, or without a record that its pickle names."""
    with zipfile.ZipFile(io.BytesIO(rng.choice((torch_file(), _torchscript())))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    tree = next(name for name in files if name.endswith("data.pkl"))
    match rng.randrange(4):
        case 0:
            files[tree] = _pickle(rng, marker)
        case 1:
            files[tree] = damaged(files[tree], rng)
        case 2:
            del files[rng.choice(list(files))]
        case _:
            name = rng.choice([name for name in files if "/data/" in name])
            files[name] = rng.choice((b"", files[name][:3], files[name] * 9))
    return zip_of(files, rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))


def weight_file(rng: Random, marker: Path) -> tuple[str, bytes]:
    """The name and the bytes of a malformed weight file; one that runs code makes `marker`."""
    match rng.randrange(6):
        case 0 | 1:
            return "x.safetensors", malformed_safetensors(rng)
        case 2:
            return "x.pkl", _pickle(rng, marker)
        case 3:
            return "x.pt", _archive_with_pickle(rng, marker)
        case 4:
            return "x.pt", damaged(torch_file(legacy=rng.random() < 0.5), rng)
        case _:
            return rng.choice(("x.pt", "x.bin", "x.ckpt")), damaged(_torchscript(), rng)


@cache
def _array(shape: tuple[int, ...], dtype: str = "float64") -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(shape, dtype))
    return out.getvalue()


def statistics(rng: Random) -> bytes:
    """An .npz of published statistics with other arrays, shapes, types or values than a format has, or damaged."""
    width = rng.choice((2048, 2048, 2015, 64, 1, 0))
    files: dict[str, bytes] = {"mu.npy": _array((width,)), "sigma.npy": _array((width, width))}
    name = rng.choice(list(files))
    match rng.randrange(6):
        case 0:
            return damaged(zip_of(files), rng)
        case 1:
            del files[name]
        case 2:
            files[name] = _array((width,), rng.choice(("complex128", "U4", "datetime64[s]", "bool", "int8", "float16")))
        case 3:
            files[name] = malformed_npy(rng)
        case 4:
            files[name] = npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", pickle.dumps([1]))
        case _:
            files[name] = _full(width, rng.choice((np.nan, np.inf, 1e300)), two=name.startswith("sigma"))
    return zip_of(files)


def _full(width: int, value: float, *, two: bool) -> bytes:
    out = io.BytesIO()
    array = np.zeros((width, width) if two else (width,))
    array.flat[width // 2 : width // 2 + 1] = value
    np.save(out, array)
    return out.getvalue()


def malformed_tensors(sound: Mapping[str, bytes], rng: Random) -> dict[str, bytes]:
    """The files of a folder, one of its safetensors files malformed."""
    chosen = rng.choice([name for name in sound if name.endswith(".safetensors")])
    return {**sound, chosen: malformed_safetensors(rng, sound[chosen])}
