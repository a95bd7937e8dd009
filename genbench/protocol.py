"""A suite resolved: metrics, feature spaces, reference, and the digest that says which protocol a number is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from genbench.digest import digest
from genbench.errors import FeatureError, UsageError
from genbench.evaluation import Questions, parse_metrics
from genbench.metrics.measure import check_needs
from genbench.precision import Precision
from genbench.prompts import PromptFile, PromptTemplate, open_prompts
from genbench.references import NOTHING, References, Shelf
from genbench.suites import Suite


@dataclass(frozen=True)
class Protocol:
    """Everything that a number under a suite depends on, but the images."""

    suite: Suite
    questions: Questions
    references: References
    held_out: References | None
    """Real images that the reference does not hold; None where the suite names none."""
    prompts: PromptFile | PromptTemplate | None
    """What the images are made from; None where the suite names nothing."""
    digest: str
    """Covers seeds, labels, SHA-256 of reference, held-out images and prompts, feature spaces with their weights, and
    metric versions."""


def load_protocol(suite: Suite, shelf: Shelf, precision: Precision = "exact") -> Protocol:
    """Resolve a suite; references are read now, so that a missing one costs no sampling.

    Features that are not exact are of other spaces, and so of another digest.

    Raises `UsageError` for unknown metrics, spaces and references, for held-out images and prompts that no metric
    reads, and for prompts that cannot be read or are too few; `FeatureError` for reference statistics that the metrics
    cannot be computed from.
    """
    questions = parse_metrics(suite.metrics, precision)
    references = _references(suite, questions, shelf)
    held_out = _held_out(suite, questions, shelf)
    prompts = _prompts(suite, questions, shelf)
    check_needs(
        questions.metrics,
        references.by_space,
        held_out.by_space if held_out else {},
        labelled=True,
        prompted=prompts is not None,
    )
    settings = suite.model_dump(mode="json", exclude={"title", "runs", "gates", "metrics", "held_out", "prompts"})
    identity: dict[str, Any] = {
        "suite": settings,
        "reference": references.facts.sha256,
        "spaces": {name: space.digest for name, space in questions.spaces.items()},
        "metrics": {metric.id: metric.statistic.version for metric in questions.metrics},
    }
    if held_out:  # left out without one, so that digests from before there were any stay valid
        identity["held_out"] = held_out.facts.sha256
    if prompts:
        identity["prompts"] = prompts.digest
    return Protocol(suite, questions, references, held_out, prompts, digest(identity))


def check_run(protocol: Protocol, run: str, *, labelled: bool, prompted: bool) -> None:
    """Raise `FeatureError` when the suite measures what the run does not have, or has not what the run takes.

    That is classes, for a run of none; and prompts other than names of classes, unless the run takes prompts.
    """
    if prompted and not isinstance(protocol.prompts, PromptFile):
        raise FeatureError(
            f"{run} makes images from prompts, and suite {protocol.suite.id} has no file of them",
            hint=f"leave {run} out with -m, or take a suite with prompts",
        )
    if isinstance(protocol.prompts, PromptFile) and not prompted:
        raise FeatureError(
            f"suite {protocol.suite.id} is of images made from prompts, and {run} is sampled by class",
            hint=f"make the images from {protocol.prompts.path}, then `genbench score IMAGES --suite "
            f"{protocol.suite.id}`",
        )
    named = any(r.labels is not None and r.labels.names for r in protocol.references.by_space.values())
    if isinstance(protocol.prompts, PromptTemplate) and not (labelled and named):
        raise FeatureError(
            f"the prompts of suite {protocol.suite.id} name classes, and the classes of {run} have no names",
            hint="build the reference from images in one folder a class, called after it",
        )
    asking = [metric.id for metric in protocol.questions.metrics if "labels" in metric.statistic.needs]
    if asking and not labelled:
        raise FeatureError(
            f"{asking[0]} is taken class by class, and {run} has no classes",
            hint=f"leave {run} out with -m, or measure it under a suite without per-class metrics",
        )


def _references(suite: Suite, questions: Questions, shelf: Shelf) -> References:
    if suite.reference is not None:
        return shelf.load(suite.reference, questions.compared)
    if questions.compared:
        compared = next(metric.id for metric in questions.metrics if set(metric.spaces) & questions.compared.keys())
        raise UsageError(
            f"suite {suite.id} names no reference, which {compared} compares with",
            hint="add reference = ..., or leave the metric out",
        )
    return NOTHING


def _prompts(suite: Suite, questions: Questions, shelf: Shelf) -> PromptFile | PromptTemplate | None:
    if suite.prompts is None:
        return None
    if not questions.prompted:
        raise UsageError(
            f"suite {suite.id} names prompts, and none of its metrics reads any",
            hint="delete prompts, or add clip-score",
        )
    given = open_prompts(suite.prompts, shelf.registry)
    if isinstance(given, PromptFile) and given.by_order and len(given.rows) < suite.images:
        raise UsageError(
            f"{given.path}: {len(given.rows)} prompts for the {suite.images} images of suite {suite.id}",
            hint="write one for each image",
        )
    if isinstance(given, PromptFile) and (twice := given.repeated) is not None:
        raise UsageError(f"{given.path}: prompt {twice!r} is there twice", hint="leave one of them")
    return given


def _held_out(suite: Suite, questions: Questions, shelf: Shelf) -> References | None:
    if suite.held_out is None:
        return None
    if not questions.held_out:
        raise UsageError(
            f"suite {suite.id} names held-out images, and none of its metrics reads any",
            hint="delete held_out, or add a metric such as fld@inception-tf",
        )
    return shelf.load(suite.held_out, questions.held_out)
