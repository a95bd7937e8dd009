"""Autoguidance: away from a weaker network (Karras et al., arXiv:2406.02507), beside guidance by the null class."""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import Tensor, nn

from genbench.errors import UsageError
from genbench.methods.guidance import guide, predictions
from genbench.methods.networks import evaluate
from genbench.methods.sampler import NetworkSampler
from genbench.methods.settings import ContrastSettings


class GuidedNetwork(nn.Module):
    """A network with classes and, where it has one, the weaker network of autoguidance."""

    num_classes: int
    """Without the null class, whose index it is."""
    guide: nn.Module | None


G = TypeVar("G", bound=GuidedNetwork)
C = TypeVar("C", bound=ContrastSettings)


class ContrastSampler(NetworkSampler[G, C], Generic[G, C]):
    """A network that may be guided by its null class or by a weaker network, with one preset.

    Raises `UsageError` for autoguidance of a network without a guide.
    """

    def prepare(self) -> None:
        """The guide; `UsageError` for autoguidance without one."""
        if self.network.guide is not None:
            self.weaker = evaluate(self.network.guide, self.settings, self.device)
        elif self.settings.guidance == "autoguidance":
            raise UsageError(
                "autoguidance needs a second network, and the variant names none",
                hint="use a preset without it, or name one under [variants.<name>.companions.guide]",
            )

    def contrasted(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        """The guided prediction (N, C, H, W) of all channels, by the settings."""
        s = self.settings
        if s.guidance == "none" or s.scale == 1:
            return self.evaluate(x, t, labels)
        if s.guidance == "autoguidance":
            own, other = self.evaluate(x, t, labels), self.weaker(x, t, labels)
        else:
            own, other = predictions(self.evaluate, x, t, labels, self.network.num_classes)
        return guide(own, other, s.scale, None, rest=own)
