"""What the catalog knows of a statistic. Imports neither NumPy nor torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from genbench.metrics.balls import Balls

Direction = Literal["lower", "higher"]
Need = Literal[
    "moments",
    "packet moments",
    "features",
    "held-out moments",
    "held-out features",
    "labels",
    "reference labels",
    "originals",
    "prompts",
]

# Standard errors that several statistics have, in the words that `genbench show metric` prints.
BINOMIAL = "binomial (Jeffreys posterior)"
INFLUENCE = "influence function; first order, so it leaves out the bias of small n"
INFLUENCE_IN_CLASSES = "influence function in each class"
JACKKNIFE = "delete-one jackknife over the generated images"
JACKKNIFE_IN_CLASSES = "delete-one jackknife in each class"
OVER_IMAGES = "standard deviation over images, over √n"

# Biases that several have: of a value over draws of n generated images, against its limit.
UPWARDS = "upwards, by about a constant over n where n is well above d: compare equal n"
UNBIASED = "none: an unbiased estimator"
MEAN_OF_IMAGES = "none: a mean over images"
FIXED_BALLS = "none over draws of images; changes with the size of the reference, whose balls shrink as it grows"
MOVING_BALLS = "changes with n, by the number and the size of the generated images' balls: compare equal n"

# Costs that several have: n generated images and m of the reference, of d numbers each.
FRECHET = "O(n d² + d³), O(n d² + n³) where n ≤ d"
PAIRS = "O((n + m)² d), a block of pairs at a time"
SWEEP = "O((n + m)² d) in one sweep for all of precision, recall, density and coverage"
CLASSES = "O(n c) for c class scores"
SPECTRUM = "O(n d² + d³), n and d exchanged where n < d"
LINEAR = "O(n d)"


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """An estimator that can be computed in any feature space."""

    name: str
    label: str
    """In table headings."""
    direction: Direction
    """Which values are better."""
    title: str
    """The estimator."""
    source: str
    """The paper that defines it."""
    stderr: str
    """What its standard error is. In every case the reference is taken as fixed."""
    bias: str
    """How its mean over draws of n images differs from the limit of many."""
    cost: str
    """Arithmetic and memory once features are there; n generated images, m of the reference, of d numbers each."""
    entry: str
    """``module:function``, of type `Comparison -> Measurement`; imported when first measured."""
    version: int = 1
    """Raised whenever the same features would give another value; leaderboards never mix versions."""
    needs: frozenset[Need] = frozenset()
    """What the features are measured with: nothing, the reference's moments, whole or of packets, or features, those of
    held-out real images, classes, the classes of the reference, the originals or the prompts that images were made
    from."""
    home: str = "inception-tf"
    """The space that its paper or its peers measure it in."""
    balls: Balls | None = None
    """The neighbour balls that it reads; statistics of one space share one sweep over all pairs."""
    layer: str | None = None
    """The layer that a space must be of, where the arithmetic makes sense in no other."""
    joint: bool = False
    """Whether it may be taken over several spaces together; `entry` is then of type
    `Sequence[Comparison] -> Measurement`."""

    def load(self) -> Callable[..., Any]:
        """Import and return the function that `entry` names."""
        module, _, function = self.entry.partition(":")
        loaded: Callable[..., Any] = getattr(import_module(module), function)
        return loaded
