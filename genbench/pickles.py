"""The tensors of a pickled network, read without running anything that the pickle holds or names.

NVlabs' releases (EDM and what is trained from it) are bare pickles of modules that carry their own source, which
unpickling would execute. The tensors themselves are storages that torch wrote, placed by plain numbers, under the
attributes in which every `torch.nn.Module` keeps its parameters, buffers and parts.
"""

from __future__ import annotations

import collections
import io
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

_TORCH_SAVE = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The magic number with which files of ``torch.save`` from before torch 1.6 begin, itself a pickle."""

NAME_LIMIT = 2**22
"""Characters that the names of a file's tensors and modules may have together: networks have thousands of names."""


def is_pickle(path: Path) -> bool:
    """Whether the file is a pickle of protocol 2 or above that ``torch.save`` did not write."""
    with path.open("rb") as file:
        start = file.read(len(_TORCH_SAVE))
    return start[:1] == b"\x80" and start != _TORCH_SAVE


def read_networks(path: Path) -> dict[str, Any]:
    """The state dict of a pickled network, or of every network in a pickled mapping, by its key; on the CPU.

    Raises `ValueError` if the pickle holds no network, and what unpickling raises if it is damaged.
    """
    with path.open("rb") as file:
        root = _Reader(file, path.stat().st_size).load()
    networks = {"": root} if _parts(root) else root if isinstance(root, Mapping) else {}
    names = Names()
    found = {
        names.below("", name): dict(_named_tensors(value, names)) for name, value in networks.items() if _parts(value)
    }
    if not found:
        raise ValueError(f"the pickle holds no network but {type(root).__name__}")
    return found.get("", found)


class _Inert:
    """Stands for an object of any class and for the result of any call: keeps what it is given, and does nothing."""

    arguments: tuple[Any, ...]
    state: Any
    items: dict[Any, Any]

    def __new__(cls, *arguments: Any, **_: Any) -> _Inert:  # not __init__, which unpickling may skip
        self = super().__new__(cls)
        self.arguments, self.state, self.items = arguments, None, {}
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def append(self, value: Any) -> None:
        """What the pickle of a list's subclass calls."""

    def extend(self, values: Any) -> None:
        """What the pickle of a list's subclass calls."""


_CONTAINERS = (str, bytes, bytearray, tuple, list, dict, set, frozenset)
_CALLS = (pickle.REDUCE, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.BUILD)
"""Opcodes that give what lies on top of the stack to a function, a class or an object."""


def _bounded(load: Callable[[Any], None]) -> Callable[[Any], None]:
    def call(unpickler: BoundedUnpickler) -> None:
        unpickler.give(unpickler.stack[-2:])  # arguments and keywords
        load(unpickler)

    return call


class BoundedUnpickler(pickle._Unpickler):
    """Python's unpickler in Python: the one in C takes 16 bytes for each number up to the largest that a memo has.

    A pickle of ten bytes can name 2^32 there. `size` is how many bytes the pickle has: it can give what its memo holds
    to call after call, each of which may copy it, so all calls are given twice as many elements together; protocol 2
    gives bytes to two calls.
    """

    stack: list[Any]
    dispatch: ClassVar = {
        **pickle._Unpickler.dispatch,
        **{code[0]: _bounded(pickle._Unpickler.dispatch[code[0]]) for code in _CALLS},
    }

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__(file)
        self._left_to_give = 2 * size + 2**16

    def give(self, values: Sequence[Any]) -> None:
        """Count what a call is given. Raises `pickle.UnpicklingError` where it is too much."""
        inside = [item for value in values if isinstance(value, tuple) for item in value]
        self._left_to_give -= sum(len(value) for value in (*values, *inside) if isinstance(value, _CONTAINERS))
        if self._left_to_give < 0:
            raise pickle.UnpicklingError("its calls are given more than the file has")


class Names:
    """The dotted names of one file's tensors, of `NAME_LIMIT` characters together.

    Modules may share their parts and names may be long, each of which a pickle says in a few bytes: twenty modules,
    each twice in the next one, name a million tensors.
    """

    def __init__(self) -> None:
        self._left = NAME_LIMIT

    def below(self, prefix: str, name: Any) -> str:
        """`name` after `prefix`. Raises `pickle.UnpicklingError` for what is no text, and beyond the limit."""
        if not isinstance(name, str):
            raise pickle.UnpicklingError(f"a {type(name).__name__} stands for the name of a tensor or a module")
        self._left -= len(prefix) + len(name) + 1
        if self._left < 0:
            raise pickle.UnpicklingError(f"the names of its tensors have more than {NAME_LIMIT:,} characters")
        return prefix + name


class _Reader(BoundedUnpickler):
    """An unpickler for which only tensors, plain containers and `_Inert` can come into being.

    `size` is how many bytes all tensors together may have: a pickle can load one storage as often as it likes.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__(file, size)
        self._left = size

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("builtins", "set"): set,
            ("__builtin__", "set"): set,  # its name in protocol 2
            ("_codecs", "encode"): _bytes,
            ("torch.storage", "_load_from_bytes"): self._storage,
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
        }
        return known.get((module, name), _Inert)

    def _storage(self, content: bytes) -> Any:
        import torch

        self._left -= len(content)
        if self._left < 0:
            raise pickle.UnpicklingError("its storages are larger than the file")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def _bytes(text: str, *_: object) -> bytes:
    return text.encode("latin-1")  # how protocol 2 writes bytes


def _tensor(storage: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> Tensor:
    import torch

    # set_ raises RuntimeError for a view that leaves its storage.
    return torch.empty(0, dtype=storage.dtype).set_(storage, offset, tuple(size), tuple(stride))


def _parameter(data: Tensor, *_: object) -> Tensor:
    return data


def _parts(value: Any) -> Mapping[str, Any] | None:
    """The attributes of a pickled module, none of anything else.

    A module that carries its source is a call with one mapping, whose ``state`` has the attributes.
    """
    if not isinstance(value, _Inert):
        return None
    state = value.state
    if state is None and value.arguments:
        described = value.arguments[0]
        described = described.items if isinstance(described, _Inert) else described
        state = described.get("state") if isinstance(described, Mapping) else None
    return state if isinstance(state, Mapping) and "_parameters" in state and "_modules" in state else None


def _named_tensors(module: Any, names: Names, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Parameters and persistent buffers by dotted name, as ``state_dict`` orders them."""
    parts = _parts(module)
    if parts is None:
        return
    transient = parts.get("_non_persistent_buffers_set", ())
    buffers = {name: value for name, value in parts["_buffers"].items() if name not in transient}
    for name, value in {**parts["_parameters"], **buffers}.items():
        if value is not None:
            yield names.below(prefix, name), value
    for name, child in parts["_modules"].items():
        yield from _named_tensors(child, names, names.below(prefix, name) + ".")
