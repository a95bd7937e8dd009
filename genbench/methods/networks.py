"""From a state dict to a network that is ready to be sampled from: built without memory, filled, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from genbench.errors import UsageError, WeightsError
from genbench.methods.manifests import within
from genbench.methods.settings import NetworkSettings

N = TypeVar("N", bound=nn.Module)


def build(network: Callable[[], N], state: dict[str, Tensor] | None, device: torch.device, *, name: str) -> N:
    """The module that `network` constructs, filled with `state`, frozen, on `device`.

    It is constructed on the meta device and takes the tensors over (in float32: no copy of what is float32 already), so
    that a file mapped into memory is read once. `name` is what people call it.

    Raises `WeightsError` when there is no state, or it does not hold exactly the network's keys and shapes.
    """
    if state is None:
        raise WeightsError(f"a {name} variant needs weights", hint="name a file under [variants.<name>.weights]")
    with torch.device("meta"):
        module = network()
    _check(state, module)
    module.load_state_dict(
        {key: value.float() if value.is_floating_point() else value for key, value in state.items()}, assign=True
    )
    return module.to(device).eval().requires_grad_(False)


def without(state: dict[str, Tensor], parts: Sequence[str]) -> dict[str, Tensor]:
    """The state less what is used in training only (see `genbench.methods.manifests.within`)."""
    return {key: value for key, value in state.items() if not within(key, parts)}


def evaluate(function: Callable[..., Tensor], settings: NetworkSettings, device: torch.device) -> Callable[..., Tensor]:
    """A module, or a function of one, in the arithmetic that the settings name; returns what it returns, in float32."""
    call: Callable[..., Tensor] = torch.compile(function) if settings.compile else function
    if settings.dtype == "float32":
        return call
    dtype = getattr(torch, settings.dtype)

    def mixed(*args: Tensor) -> Tensor:
        with torch.autocast(device.type, dtype=dtype):
            return call(*args).float()

    return mixed


def parameters(*modules: nn.Module) -> int:
    """Parameters of all the modules, frozen ones included."""
    return sum(p.numel() for module in modules for p in module.parameters())


def check_labels(labels: Tensor, classes: int) -> None:
    """Raise `UsageError` for a label outside 0 to ``classes - 1``."""
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise UsageError(
            f"labels from {int(labels.min())} to {int(labels.max())}: the network has classes 0 to {classes - 1}",
            hint="use a suite whose data set has the network's classes",
        )


def _check(state: dict[str, Tensor], module: nn.Module) -> None:
    expected = {k: tuple(v.shape) for k, v in module.state_dict().items()}
    given = {k: tuple(v.shape) for k, v in state.items()}
    if expected == given:
        return
    missing = sorted(expected.keys() - given.keys())
    unexpected = sorted(given.keys() - expected.keys())
    other = sorted(k for k in expected.keys() & given.keys() if expected[k] != given[k])
    parts = [
        f"{title} {', '.join(keys[:5])}{f' and {len(keys) - 5} more' if len(keys) > 5 else ''}"
        for title, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
        if keys
    ]
    raise WeightsError(
        f"the weights do not fit the network: {'; '.join(parts)}",
        hint="check the card's network against the file: sizes, patch, classes, learn_sigma",
    )
