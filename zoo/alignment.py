"""Representation alignment: tokens of a block are drawn to an encoder's tokens of the clean image.

Yu et al., REPA (arXiv:2410.06940); Singh et al., iREPA (arXiv:2512.10794); Wang et al., HASTE (arXiv:2505.16792).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from genbench.schema import Strict

EPSILON = 1e-6


class MlpProjector(Strict):
    """REPA's projector: three linear layers with SiLU between, of each token by itself."""

    kind: Literal["mlp"]
    width: int = Field(gt=0)
    """Of the hidden layers."""

    def build(self, hidden: int, target: int) -> nn.Module:
        """A module of tokens (N, T, hidden) => (N, T, target)."""
        return nn.Sequential(
            nn.Linear(hidden, self.width),
            nn.SiLU(),
            nn.Linear(self.width, self.width),
            nn.SiLU(),
            nn.Linear(self.width, target),
        )


class ConvolutionProjector(Strict):
    """iREPA's projector: one convolution over the grid of tokens."""

    kind: Literal["convolution"]
    kernel: int = Field(default=3, gt=0)

    def build(self, hidden: int, target: int) -> nn.Module:
        """A module of tokens (N, T, hidden) => (N, T, target); T is a square."""
        return _OverGrid(nn.Conv2d(hidden, target, self.kernel, padding="same"))


class _OverGrid(nn.Module):
    """A convolution of tokens laid out in rows."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, D) => (N, T, D')."""
        side = round(tokens.shape[1] ** 0.5)
        grid = tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)
        return self.convolution(grid).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]


class Alignment(Strict):
    """What is aligned, by which projector, how strongly and for how long."""

    block: int = Field(gt=0)
    """The tokens after so many blocks."""
    weight: float = Field(default=0.5, gt=0)
    """Of the mean of -cos(projected token, target token), which is added to the loss."""
    projector: Annotated[MlpProjector | ConvolutionProjector, Field(discriminator="kind")]
    spatial_normalisation: float | None = Field(default=None, ge=0, le=1)
    """How much of the mean over an image's tokens iREPA's target loses (their gamma); none leaves the target."""
    until: float = Field(default=1.0, gt=0, le=1)
    """Share of the steps after which the term is dropped, as HASTE stops its alignment."""


def normalised_over_space(tokens: Tensor, gamma: float) -> Tensor:
    """iREPA's spatial normalisation: tokens (N, T, D) less γ times their mean, over their deviation, by channel."""
    centred = tokens - gamma * tokens.mean(dim=1, keepdim=True)
    return centred / (centred.std(dim=1, keepdim=True) + EPSILON)


class AlignmentLoss(nn.Module):
    """The alignment of one network, with the projector that is trained beside it.

    Watches the network's forward pass: the loss is of the latest one.

    Args:
        settings: of the configuration.
        network: with ``blocks``.
        hidden: width of its tokens.
        target: width of the encoder's.
    """

    def __init__(self, settings: Alignment, network: nn.Module, *, hidden: int, target: int) -> None:
        super().__init__()
        self.settings = settings
        self.projector = settings.projector.build(hidden, target)
        self._seen: Tensor | None = None
        blocks: nn.ModuleList = network.blocks  # type: ignore[assignment]
        blocks[settings.block - 1].register_forward_hook(self._watch)

    def _watch(self, _module: nn.Module, _inputs: object, tokens: Tensor) -> None:
        self._seen = tokens

    def forward(self, targets: Tensor) -> Tensor:
        """The weighted loss of the network's latest batch, whose targets are (N, T, D).

        Raises `RuntimeError` before the network has seen any.
        """
        if self._seen is None:
            raise RuntimeError("the network that is aligned has seen no batch yet")
        projected, self._seen = self.projector(self._seen).float(), None
        if self.settings.spatial_normalisation is not None:
            targets = normalised_over_space(targets, self.settings.spatial_normalisation)
        return -self.settings.weight * functional.cosine_similarity(projected, targets, dim=2).mean()

    def applies(self, step: int, steps: int) -> bool:
        """Whether the term counts in step `step` of `steps`."""
        return step < round(self.settings.until * steps)


def pooled(tokens: Tensor, side: int) -> Tensor:
    """Tokens (N, T, D) of a square grid averaged over the cells of a grid of `side`: (N, side², D)."""
    grid = round(tokens.shape[1] ** 0.5)
    image = tokens.transpose(1, 2).reshape(len(tokens), -1, grid, grid)
    return functional.adaptive_avg_pool2d(image, side).flatten(2).transpose(1, 2)
