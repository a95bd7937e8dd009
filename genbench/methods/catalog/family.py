"""What is known of a family of samplers, and what its class must offer. Imports no torch by itself."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from genbench.methods.noise import Noise


class Sampler(Protocol):
    """What a family's class must offer; ``settings`` is the model class of its presets."""

    @property
    def nfe(self) -> float | None:
        """Network evaluations an image in the latest call, guidance not doubled; none where nothing can be counted."""
        ...

    @property
    def parameters(self) -> int:
        """Parameters of every network that sampling uses."""
        ...

    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image for each of the N noise generators and labels (N,) int64: float32 (N, 3, H, W) in [-1, 1]."""
        ...


class SamplerClass(Protocol):
    """How a sampler is built from a card's variant."""

    def __call__(
        self, *, network: Mapping[str, Any], settings: Any, state: dict[str, Tensor] | None, device: torch.device
    ) -> Sampler:
        """`state` holds the tensors of the weight file, none if the variant names no file.

        Where the family has a tokenizer, the variant's decoder is given as `tokenizer` besides; where it finds its own
        files, their `folder`.
        """
        ...


class Family(NamedTuple):
    """A sampler class by import path, its settings, and the version of its arithmetic."""

    sampler: str
    """``module:Class``."""
    network: str | None
    """``module:Class`` of the pydantic model of its network's arguments; none when the class checks them itself."""
    settings: str | None
    """``module:Class`` of the pydantic model of its presets; none when the class takes a plain mapping."""
    version: str
    """Part of every run digest: changed when the same settings would give other pixels."""
    module: str | None = None
    """``module:Class`` of its network, which takes `network`'s arguments; none where `genbench validate` cannot build
    it without weights."""
    tiny: Mapping[str, Any] = MappingProxyType({})
    """Network arguments that make it small enough to be tried with random weights."""
    tokenizer: str | None = None
    """Decoder family whose codes it samples: the sampler is built with the variant's decoder as `tokenizer` too."""
    files: str | None = None
    """``module:function`` that finds a folder of files by the network's arguments, and its SHA-256, where the weights
    are more than one file: the sampler is built with it as `folder` too."""
