"""One set of features, and what it is compared with: what statistics read, and what they share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from genbench.errors import FeatureError
from genbench.metrics.balls import Balls
from genbench.metrics.inputs import Features, Float64, check_features, check_width
from genbench.metrics.labels import Classes, Labels
from genbench.metrics.neighbours import Neighbourhoods, sweep
from genbench.metrics.reference import Reference


class Part(NamedTuple):
    """One of the numbers that a value is the mean of."""

    name: str
    """A feature space, or a category of prompts."""
    value: float
    stderr: float | None
    n: int
    """Generated images."""
    denominator: float | None = None
    """What `value` was divided by, in full precision; None where it is no ratio."""


@dataclass(frozen=True)
class Measurement:
    """One number and what it rests on."""

    value: float
    stderr: float | None
    """Standard error over draws of the generated images, the reference being fixed; None where it is not defined."""
    n: int
    """Generated images."""
    n_reference: int
    """Reference images that took part: those of the moments, or those whose features were compared; 0 without one."""
    spread: float | None = None
    """Standard deviation over splits or subsets, which the field prints after the ±. It is not a standard error."""
    influence: Float64 | None = field(default=None, compare=False, repr=False)
    """(N,), of mean 0: first-order influence of each generated image on the value; None where it is not kept."""
    scores: Float64 | None = field(default=None, compare=False, repr=False)
    """(N,): what each generated image scores, where the value is their mean and people ask for that of some of them."""
    parts: tuple[Part, ...] = ()
    """What the value is the mean of, where a statistic says so."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Generated features (N, d) and what they are compared with; shared work is done once, when first asked for.

    Raises `FeatureError` for features that are empty, not finite, or not as wide as the reference, and for labels that
    are not one an image.
    """

    features: Features
    against: Reference | None = None
    """The reference; None for statistics that need none."""
    device: str = "cpu"
    held_out: Reference | None = None
    """Real images that the reference does not hold, such as a validation split."""
    labels: Labels | None = None
    """Classes of the generated images, by any numbers of their own: see `matched`."""
    prompts: Features | None = None
    """(N, d): embeddings of the prompts that the images were made from, in the features' space."""
    asked: frozenset[Balls] = frozenset()
    """Balls that will be asked for: one sweep serves them all."""
    _found: dict[Balls, Neighbourhoods] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        named = [side for side in (self.against, self.held_out) if side is not None]
        check_features(self.features, f"{named[0].space} features" if named else "features")
        for side in named:
            check_width(self.features.shape[1], side.width, side.space)
        if self.labels is not None:
            self.labels.check(len(self.features), "generated")
        if self.prompts is not None and self.prompts.shape != self.features.shape:
            raise FeatureError(
                f"prompt embeddings of shape {self.prompts.shape} for image embeddings of {self.features.shape}",
                hint="give one prompt an image, embedded by the same model",
            )

    @property
    def reference(self) -> Reference:
        """What the features are compared with. Raises `FeatureError` if there is none."""
        if self.against is None:
            raise FeatureError("this metric compares with a reference, and there is none", hint="give a reference")
        return self.against

    @property
    def reference_features(self) -> npt.NDArray[np.float32]:
        """(m, d). Raises `FeatureError` if the reference carries moments only."""
        return _features_of(self.reference, "reference")

    @property
    def held_out_reference(self) -> Reference:
        """Held-out real images. Raises `FeatureError` if none are given."""
        if self.held_out is None:
            raise FeatureError(
                "this metric reads held-out real images, and there are none",
                hint="give a second reference of real images, such as a validation split",
            )
        return self.held_out

    @property
    def held_out_features(self) -> npt.NDArray[np.float32]:
        """(h, d) of held-out real images. Raises `FeatureError` if there are none or their moments only."""
        return _features_of(self.held_out_reference, "held-out reference")

    @cached_property
    def matched(self) -> Labels:
        """Classes of the generated images under the numbers and names that the reference has for them.

        Raises `FeatureError` if they are not known.
        """
        if self.labels is None:
            raise FeatureError("this metric is taken class by class, and classes are not known", hint="give labels")
        known = None if self.against is None else self.against.labels
        return self.labels if known is None else self.labels.numbered_as(known)

    @property
    def classes(self) -> Classes:
        """(N,): the class of each generated image, as `matched`. Raises `FeatureError` if they are not known."""
        return self.matched.classes

    @property
    def reference_classes(self) -> Classes:
        """(m,): the class of each image that the reference holds. Raises `FeatureError` if they are not known."""
        if self.reference.labels is None:
            raise FeatureError(
                "this metric is taken class by class, and the reference's classes are not known",
                hint="build the reference from images in one folder a class",
            )
        return self.reference.labels.classes

    @property
    def prompt_features(self) -> Features:
        """(N, d) of the images' prompts. Raises `FeatureError` if they are not known."""
        if self.prompts is None:
            raise FeatureError("this metric reads the images' prompts, and there are none", hint="give the prompts")
        return self.prompts

    def neighbourhoods(self, balls: Balls) -> Neighbourhoods:
        """Neighbourhoods of both sides in that form; the first call sweeps once for every form that is `asked`."""
        if balls not in self._found:
            forms = self.asked | {balls}
            self._found.update(sweep(self.features, self.reference_features, sorted(forms), device=self.device))
        return self._found[balls]


def _features_of(reference: Reference, what: str) -> npt.NDArray[np.float32]:
    if reference.features is None:
        raise FeatureError(
            f"the {reference.space} {what} carries moments but no features, which this metric compares",
            hint="give the reference as images, or build it with features; fd needs moments only",
        )
    return reference.features
