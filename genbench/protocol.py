"""A suite resolved: metrics, feature spaces, reference, and the digest that says which protocol a number is of."""

from __future__ import annotations

from dataclasses import dataclass

from genbench.digest import digest
from genbench.errors import FeatureError, UsageError
from genbench.evaluation import Questions, parse_metrics
from genbench.metrics.measure import check_needs
from genbench.precision import Precision
from genbench.references import References, Shelf
from genbench.suites import Suite


@dataclass(frozen=True)
class Protocol:
    """Everything that a number under a suite depends on, but the images."""

    suite: Suite
    questions: Questions
    references: References
    held_out: References | None
    """Real images that the reference does not hold; None where the suite names none."""
    digest: str
    """Covers seeds, labels, SHA-256 of reference and held-out images, feature spaces with their weights, and metric
    versions."""


def load_protocol(suite: Suite, shelf: Shelf, precision: Precision = "exact") -> Protocol:
    """Resolve a suite; references are read now, so that a missing one costs no sampling.

    Features that are not exact are of other spaces, and so of another digest.

    Raises `UsageError` for unknown metrics, spaces and references, and for held-out images that no metric reads;
    `FeatureError` for reference statistics that the metrics cannot be computed from.
    """
    questions = parse_metrics(suite.metrics, precision)
    references = shelf.load(suite.reference, questions.compared)
    held_out = _held_out(suite, questions, shelf)
    check_needs(questions.metrics, references.by_space, held_out.by_space if held_out else {}, labelled=True)
    settings = suite.model_dump(mode="json", exclude={"title", "runs", "metrics", "held_out"})
    identity = {
        "suite": settings,
        "reference": references.facts.sha256,
        "spaces": {name: space.digest for name, space in questions.spaces.items()},
        "metrics": {metric.id: metric.statistic.version for metric in questions.metrics},
    }
    if held_out:  # left out without one, so that digests from before there were any stay valid
        identity["held_out"] = held_out.facts.sha256
    return Protocol(suite, questions, references, held_out, digest(identity))


def check_labels(protocol: Protocol, run: str, *, labelled: bool) -> None:
    """Raise `FeatureError` when the suite has a metric that is taken class by class and the run has no classes."""
    asking = [metric.id for metric in protocol.questions.metrics if "labels" in metric.statistic.needs]
    if asking and not labelled:
        raise FeatureError(
            f"{asking[0]} is taken class by class, and {run} has no classes",
            hint=f"leave {run} out with -m, or measure it under a suite without per-class metrics",
        )


def _held_out(suite: Suite, questions: Questions, shelf: Shelf) -> References | None:
    if suite.held_out is None:
        return None
    if not questions.held_out:
        raise UsageError(
            f"suite {suite.id} names held-out images, and none of its metrics reads any",
            hint="delete held_out, or add a metric such as fld@inception-tf",
        )
    return shelf.load(suite.held_out, questions.held_out)
