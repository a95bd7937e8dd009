"""What the samplers of one network share: how they are built, what they check, what they count."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from genbench.errors import ConfigError
from genbench.methods.latents.tokenizer import Encoder
from genbench.methods.networks import build, check_labels, evaluate, parameters, without
from genbench.methods.noise import Noise
from genbench.methods.settings import NetworkSettings
from genbench.methods.solvers import Solution
from genbench.methods.weight_formats import quantise

M = TypeVar("M", bound=nn.Module)
S = TypeVar("S", bound=NetworkSettings)
T = TypeVar("T", bound=Encoder)


class NetworkSampler(ABC, Generic[M, S]):
    """A network with its weights and one preset. A family names the module and says how it is sampled from.

    Raises `WeightsError` when there is no state, or it does not hold exactly the network's keys and shapes.
    """

    name: ClassVar[str]
    """What people call the network."""
    module: ClassVar[type[Any]]
    """Constructed with the card's network arguments."""
    training_only: ClassVar[tuple[str, ...]] = ()
    """Keys that a weight file holds for training alone, and modules, which end in a point."""

    def __init__(
        self, *, network: Mapping[str, Any], settings: S, state: dict[str, Tensor] | None, device: torch.device
    ) -> None:
        kept = None if state is None else self.kept(state, network)
        self.network: M = build(lambda: self.module(**network), kept, device, name=self.name)
        self.parameters = parameters(self.network)
        quantise(self.network, settings.weights)
        self.evaluate = evaluate(self.network, settings, device)
        self.settings = settings
        self.device = device
        self.shape = self.sample_shape(network)
        self.nfe: float | None = None
        self._classes = self.classes(network)
        self.prepare()

    def prepare(self) -> None:
        """What a family derives from network and settings once; checks that one goes with the other. Nothing here."""

    @torch.inference_mode()
    def sample(self, noise: Noise, labels: Tensor) -> Tensor:
        """One image or latent for each generator and label: float32 (N, C, H, W); images about [-1, 1].

        Raises `UsageError` for a label outside the classes of a network that has any.
        """
        if self._classes is not None:
            check_labels(labels, self._classes)
        solution = self.solve(noise, labels.to(self.device))
        self.nfe = solution.evaluations
        return solution.x

    @abstractmethod
    def solve(self, noise: Noise, labels: Tensor) -> Solution:
        """The sampler itself, for labels (N,) on the device that are within the classes."""

    def kept(self, state: dict[str, Tensor], network: Mapping[str, Any]) -> dict[str, Tensor]:
        """What sampling uses of the weight file: all but `training_only`, unless a family says otherwise."""
        return without(state, self.training_only)

    def classes(self, network: Mapping[str, Any]) -> int | None:
        """How many classes labels are checked against; none for a network that takes no labels."""
        return network.get("num_classes")

    def sample_shape(self, network: Mapping[str, Any]) -> tuple[int, int, int]:
        """Shape (C, H, W) of one draw and one sample."""
        return network["in_channels"], network["input_size"], network["input_size"]


class CodeSampler(NetworkSampler[M, S], Generic[M, S, T]):
    """A network that samples the codes of a tokenizer, and gives its latents.

    Raises `ConfigError` for a tokenizer of other codes than the network's, besides what `NetworkSampler` does.
    """

    def __init__(
        self,
        *,
        network: Mapping[str, Any],
        settings: S,
        state: dict[str, Tensor] | None,
        device: torch.device,
        tokenizer: T,
    ) -> None:
        self.tokenizer = tokenizer
        super().__init__(network=network, settings=settings, state=state, device=device)


def check_codes(network: str, tokenizer: str) -> None:
    """Raise `ConfigError` where the codes that a network samples, in words, are not those that its tokenizer has."""
    if network != tokenizer:
        raise ConfigError(
            f"the transformer has {network}, its tokenizer {tokenizer}",
            hint="name the tokenizer that the transformer was trained with under [variants.<name>.decoder]",
        )
