"""The tensors of a TorchScript archive, read without running or compiling anything that the archive holds.

``torch.jit.load`` compiles the archive's code and resolves its operators, some of which read and write files; and
``torch.load(weights_only=True)`` refuses such archives. The tensors themselves are raw records of a zip file, placed by
a small pickle, and need neither.
"""

from __future__ import annotations

import collections
import pickle
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from genbench.pickles import BoundedUnpickler, Names

if TYPE_CHECKING:
    from torch import Tensor

_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "BoolStorage": "bool",
}


def is_torchscript(path: Path) -> bool:
    """Whether the file is what ``torch.jit.save`` writes: a zip archive with ``constants.pkl`` in it.

    Raises `zipfile.BadZipFile` if it is an archive and damaged.
    """
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(PurePosixPath(name).name == "constants.pkl" for name in archive.namelist())


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Parameters and buffers by dotted name, in the order in which the modules were defined; on the CPU.

    Raises `ValueError` if the archive holds no tree of modules, and what unpickling and `zipfile` raise if it is
    damaged or names anything but tensors and plain containers.
    """
    with zipfile.ZipFile(path) as archive:
        roots = [name.removesuffix("/data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ValueError(f"{len(roots)} object trees in the archive instead of one")
        module = _TreeReader(archive, roots[0]).load()
    return dict(_named_tensors(module, Names()))


class _Object:
    """Stands for any class that the archive defines: holds attributes and has no behaviour."""

    def __setstate__(self, state: Mapping[str, Any]) -> None:  # without it, a pickle could set attributes of the class
        vars(self).update(state)


class _TreeReader(BoundedUnpickler):
    """An unpickler for which only tensors, plain containers and `_Object` can come into being."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        tree = archive.getinfo(f"{root}/data.pkl")
        super().__init__(archive.open(tree), tree.file_size)
        self._archive, self._root = archive, root
        self._records: dict[str, bytearray] = {}

    def find_class(self, module: str, name: str) -> Any:
        import torch

        if module.startswith("__torch__."):
            return _Object
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _view
        if module == "torch.jit._pickle" and name in ("build_intlist", "build_doublelist", "build_boollist"):
            return list
        if module == "torch" and name in _STORAGES:
            return getattr(torch, _STORAGES[name])
        raise pickle.UnpicklingError(f"{module}.{name} is not plain data")

    def persistent_load(self, pid: Any) -> Tensor:
        import torch

        _, dtype, key, _, count = pid
        if key not in self._records:  # a pickle may name one record often
            # A bytearray, since torch warns of tensors over memory that cannot be written.
            self._records[key] = bytearray(self._archive.read(f"{self._root}/data/{key}"))
        return torch.frombuffer(self._records[key], dtype=dtype, count=count)


def _view(storage: Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> Tensor:
    # as_strided raises RuntimeError for a view that leaves its storage.
    return storage.as_strided(size, stride, offset)


def _named_tensors(module: _Object, names: Names, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    import torch

    for name, value in vars(module).items():
        if isinstance(value, torch.Tensor):
            yield names.below(prefix, name), value
        elif isinstance(value, _Object):
            yield from _named_tensors(value, names, names.below(prefix, name) + ".")
