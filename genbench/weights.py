"""The only door for files from outside: find them, fetch them, check them, and load them without running their code.

A file is looked for in the cache (``<cache>/weights``), in installed packages that carry it, in ``weights`` of every
registry, in folders that the caller names, and at last at its published address. Wherever it comes from, its SHA-256
must be the published one. Where the authors publish none, it is pinned at first use in a small file in the cache, and
every later use must agree with the pin.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pickle
import struct
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from genbench.digest import canonical_safetensors, digest_file
from genbench.download import DownloadError, fetch
from genbench.errors import UsageError, WeightsError
from genbench.files import stays_inside, write_atomically
from genbench.paths import data_folders
from genbench.pickles import is_pickle, read_networks
from genbench.torchscript import is_torchscript, read_tensors

if TYPE_CHECKING:
    from torch import Tensor

# What torch's and Python's readers let through for damaged files; `Warning` where warnings are made errors.
_DAMAGE = (
    OSError,
    zipfile.BadZipFile,
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    MemoryError,
    struct.error,
    Warning,
)

_EXPANSION = 8
"""How many times its size a file may stand for: archives compress code, and a tied tensor has several names."""


@dataclass(frozen=True)
class WeightFile:
    """One file from outside: what it is called, what it must hash to, and where it comes from.

    Raises `ValueError` if `file` is absolute or leaves its folder.
    """

    file: str
    """File name in the cache and in ``registry/weights``; may have folders, with forward slashes."""
    sha256: str | None = None
    """64 hexadecimal digits; None where the authors publish none: pinned at first use."""
    url: str | None = None
    """Published address, http or https."""
    package: tuple[str, str] | None = None
    """A Python module whose package carries the file, and the path inside it."""
    extra: str | None = None
    """The extra of genbench that installs that package."""
    licence: str | None = None

    def __post_init__(self) -> None:
        if not stays_inside(self.file):
            raise ValueError(f"{self.file!r} is not a file name inside the weights folder")


class Located(NamedTuple):
    """A file that is on this machine, its SHA-256 checked."""

    file: WeightFile
    path: Path


class _Pin(NamedTuple):
    """What a file without a published digest was when it was first used."""

    sha256: str
    url: str | None


def locate(spec: WeightFile, *, cache: Path, extra_dirs: Sequence[Path] = (), offline: bool | None = None) -> Path:
    """Where the file lies, downloaded into the cache if it lies nowhere, with its SHA-256 checked.

    `offline` forbids the download; None means what ``GENBENCH_OFFLINE`` says. A file without a published digest is
    pinned at first use, which is said on stderr.

    Raises `WeightsError` if the file is nowhere and cannot be had, or is not the published (or pinned) one. Nothing
    that fails its check is ever returned, and another file is never taken in its place.
    """
    if found := find(spec, cache=cache, extra_dirs=extra_dirs):
        return found
    if offline is None:
        offline = os.environ.get("GENBENCH_OFFLINE", "") not in ("", "0")
    if offline or spec.url is None:
        why = "this run is offline" if offline and spec.url else "it has no published address"
        raise WeightsError(f"{spec.file} is not on this machine, and {why}", hint=_ways_out(spec, cache))
    target = _in_cache(spec, cache)
    try:
        fetch(spec.url, target, sha256=spec.sha256)
    except (DownloadError, OSError) as error:
        raise WeightsError(f"{spec.file}: {error}", hint=_ways_out(spec, cache)) from error
    _check(spec, target, cache)
    return target


def find(spec: WeightFile, *, cache: Path, extra_dirs: Sequence[Path] = ()) -> Path | None:
    """Where the file lies on this machine, its SHA-256 checked, or None; downloads nothing.

    Raises `WeightsError` if a file of this name is there and is not the published (or pinned) one, or cannot be read.
    """
    for candidate in _candidates(spec, cache, extra_dirs):
        try:
            there = candidate.is_file()
        except PermissionError as error:
            raise _unreadable(candidate, error) from error
        if there:
            _check(spec, candidate, cache)
            return candidate
    return None


def _unreadable(path: Path, error: OSError) -> WeightsError:
    return WeightsError(f"{path}: cannot be read ({error.strerror})", hint="check its mode and that of its folder")


def _in_cache(spec: WeightFile, cache: Path) -> Path:
    return cache / "weights" / spec.file


def _candidates(spec: WeightFile, cache: Path, extra_dirs: Sequence[Path]) -> list[Path]:
    found = [_in_cache(spec, cache)]
    if spec.package:
        module, inside = spec.package
        package = importlib.util.find_spec(module)
        if package is not None:
            found += [Path(folder) / inside for folder in package.submodule_search_locations or ()]
    found += [folder / spec.file for folder in extra_dirs]
    found += [folder / "weights" / spec.file for folder in data_folders("registry", None)]
    return found


def _check(spec: WeightFile, path: Path, cache: Path) -> None:
    try:
        actual = digest_file(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    if spec.sha256 is not None:
        if actual != spec.sha256:
            raise WeightsError(
                f"{path}: not the published file (sha256 {actual}, expected {spec.sha256})",
                hint="delete it and run the command again, or put the published file in its place",
            )
        return
    pin_path = _in_cache(spec, cache).with_name(PurePosixPath(spec.file).name + ".pin.json")
    if not pin_path.exists():
        _write_pin(pin_path, _Pin(actual, spec.url))
        sys.stderr.write(f"{spec.file}: no published sha256; pinned {actual} in {pin_path}\n")
        return
    pin = _read_pin(pin_path)
    # Two projects may both call their file model.safetensors: the address tells them apart.
    if pin.url != spec.url:
        raise WeightsError(
            f"{path}: {pin_path} pins a file of this name from {pin.url}, not from {spec.url}",
            hint="give one of the two another `file` name in its card",
        )
    if pin.sha256 != actual:
        raise WeightsError(
            f"{path}: changed since its first use (sha256 {actual}, pinned {pin.sha256})",
            hint=f"restore the file, or delete {pin_path} to accept the new one",
        )


def _read_pin(path: Path) -> _Pin:
    try:
        pin = json.loads(path.read_text())
        return _Pin(pin["sha256"], pin["url"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise WeightsError(f"{path}: not a pin file ({error!r})", hint=f"delete {path}") from error


def _write_pin(path: Path, pin: _Pin) -> None:
    try:
        write_atomically(path, (json.dumps(pin._asdict(), indent=2) + "\n").encode())
    except OSError as error:
        raise WeightsError(
            f"{path}: the digest of a file without a published one cannot be pinned ({error.strerror})",
            hint="give --cache, or GENBENCH_CACHE, a folder that can be written",
        ) from error


def _ways_out(spec: WeightFile, cache: Path) -> str:
    ways = []
    if spec.package:
        ways.append(f'pip install "genbench[{spec.extra}]"' if spec.extra else f"install {spec.package[0]}")
    target = _in_cache(spec, cache)
    digest = f"sha256 {spec.sha256}" if spec.sha256 else "no published sha256"
    if spec.url:
        ways.append(f"put {spec.url} ({digest}) at {target}")
    else:
        ways.append(f"put the file ({digest}) at {target}")
    return ", or ".join(ways)


def load_tensors(path: Path, *, key: str | None = None, allow_pickle: bool = False) -> dict[str, Tensor]:
    """The named tensors of a weight file, on the CPU, in the file's order.

    Reads safetensors, TorchScript archives and pickled networks (their tensors only: no code that they hold or name
    runs), and what ``torch.save`` wrote. `key` picks one state dict of a checkpoint that holds several, such as
    ``ema``, or ``trainer.ema`` for one inside another entry. `allow_pickle` lets what ``torch.save`` wrote run code,
    which only a file that you trust as you trust a program may do.

    Raises `WeightsError` if the file is damaged, is a pickle that needs code, or is not a state dict.
    """
    from safetensors import SafetensorError

    try:
        value = _load(path, allow_pickle=allow_pickle)
    except (*_DAMAGE, SafetensorError) as error:
        raise _damaged(path, error) from error
    return _state_dict(path, value, key)


def convert(path: Path, out: Path, *, key: str | None = None, allow_pickle: bool = False) -> str:
    """Write the tensors that `load_tensors` finds in `path` to a safetensors file, and return its SHA-256.

    The header of `out` names the file it was made from, that file's SHA-256, the key, and whether code was allowed.

    Raises `UsageError` for an `out` that is no safetensors file or is there already, and `WeightsError` as
    `load_tensors` does, and for a file that cannot be written.
    """
    from safetensors.torch import save

    if out.suffix != ".safetensors":
        raise UsageError(
            f"{out}: weights are converted to safetensors", hint=f"write {out.with_suffix('.safetensors')}"
        )
    if out.exists():
        raise UsageError(f"{out} is there already", hint="name another file, or remove it")
    tensors = load_tensors(path, key=key, allow_pickle=allow_pickle)
    _check_expansion(path, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))
    origin = {"source": path.name, "sha256": digest_file(path), "key": key or "", "allow_pickle": str(allow_pickle)}
    # A file holds each tensor once: what shares memory, as tied weights do, is written twice.
    content = save({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, metadata=origin)
    try:
        write_atomically(out, *canonical_safetensors(content))
    except OSError as error:
        raise WeightsError(f"{out}: cannot be written ({error.strerror})", hint="name a folder that exists") from error
    return digest_file(out)


def _check_expansion(path: Path, expanded: int) -> None:
    """Refuse a few bytes that stand for many, compressed or repeated, before they become so many."""
    size = path.stat().st_size
    if expanded > _EXPANSION * size:
        raise WeightsError(
            f"{path}: its {size:,} bytes stand for {expanded:,}, which looks like a decompression bomb",
            hint="save the state dict again with torch.save or as safetensors, without expanded tensors",
        )


def _state_dict(path: Path, value: Any, key: str | None) -> dict[str, Tensor]:
    if key is not None:
        value = _entry(path, value, key)
    if not _is_state_dict(value):
        entries = list(_state_dicts_in(value)) if isinstance(value, Mapping) else []
        raise WeightsError(
            f"{path}: not a mapping of names to tensors",
            hint=f"choose one of its state dicts by key: {', '.join(entries)}"
            if entries
            else "export the model's state dict, best as safetensors",
        )
    return dict(value)


def _entry(path: Path, value: Any, key: str) -> Any:
    """What a checkpoint holds under `key`, whose dots lead from one entry into the next."""
    if isinstance(value, Mapping):
        outer, dot, inner = key.partition(".")
        if key in value:
            return value[key]
        if dot and outer in value:
            return _entry(path, value[outer], inner)
    inside = sorted(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
    raise WeightsError(f"{path}: no entry {key!r} (it has {inside})", hint="name one of the entries it has")


def _state_dicts_in(checkpoint: Mapping[Any, Any]) -> Iterator[str]:
    """Keys of its state dicts, and of those one entry further in."""
    for name, entry in checkpoint.items():
        if _is_state_dict(entry):
            yield str(name)
        elif isinstance(entry, Mapping):
            yield from (f"{name}.{inner}" for inner, value in entry.items() if _is_state_dict(value))


def _is_state_dict(entry: Any) -> bool:
    """Whether names lead to tensors with their values in memory: not sparse, not quantised, not on another device."""
    import torch

    return (
        isinstance(entry, Mapping)
        and bool(entry)
        and all(isinstance(name, str) and name.isprintable() for name in entry)
        and all(isinstance(tensor, torch.Tensor) for tensor in entry.values())
        and all(t.layout is torch.strided and t.is_cpu and not t.is_quantized for t in entry.values())
    )


def _load(path: Path, *, allow_pickle: bool) -> Any:
    """What the file holds. Raises `WeightsError` for what needs code, and one of `_DAMAGE` for what is damaged."""
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _check_expansion(path, sum(member.file_size for member in archive.infolist()))
        if is_torchscript(path):
            return read_tensors(path)
    elif is_pickle(path):
        return read_networks(path)
    return _load_torch(path, allow_pickle=allow_pickle)


def _load_torch(path: Path, *, allow_pickle: bool) -> Any:
    import torch

    try:
        # Namespace holds the options of a training script; many checkpoints carry one, and building it runs nothing.
        with torch.serialization.safe_globals([argparse.Namespace]):
            # Files from before torch 1.6 are not zip archives and cannot be mapped.
            return torch.load(path, map_location="cpu", weights_only=not allow_pickle, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        if allow_pickle:
            raise
        raise WeightsError(
            f"{path}: is damaged, or needs code execution to load, which is refused",
            hint="if you trust it as you trust a program, `genbench run` takes --allow-pickle; or convert it once: "
            f"`genbench weights convert {path} {path.stem}.safetensors --allow-pickle`",
        ) from error
    except (ImportError, AttributeError) as error:
        raise WeightsError(
            f"{path}: needs code that is not installed ({error})", hint="install the project that wrote the file"
        ) from error


def _damaged(path: Path, error: Exception) -> WeightsError:
    reason = str(error).partition("\n")[0]
    return WeightsError(
        f"{path}: cannot be read as weights ({type(error).__name__}: {reason})",
        hint="delete it and fetch it again",
    )
