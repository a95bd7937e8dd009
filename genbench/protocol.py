"""A suite resolved: metrics, feature spaces, reference, and the digest that says which protocol a number is of."""

from __future__ import annotations

from dataclasses import dataclass

from genbench.digest import digest
from genbench.evaluation import Questions, parse_metrics
from genbench.references import References, Shelf
from genbench.suites import Suite


@dataclass(frozen=True)
class Protocol:
    """Everything that a number under a suite depends on, but the images."""

    suite: Suite
    questions: Questions
    references: References
    digest: str
    """Covers seeds, labels, reference SHA-256, feature spaces with their weights, and metric versions."""


def load_protocol(suite: Suite, shelf: Shelf) -> Protocol:
    """Resolve a suite; the reference is read now, so that a missing one costs no sampling.

    Raises `UsageError` for unknown metrics, spaces and references, and `FeatureError` for unfit reference statistics.
    """
    questions = parse_metrics(suite.metrics)
    references = shelf.load(suite.reference, questions.compared)
    identity = digest(
        {
            "suite": suite.model_dump(mode="json", exclude={"title", "runs", "metrics"}),
            "reference": references.facts.sha256,
            "spaces": {name: space.digest for name, space in questions.spaces.items()},
            "metrics": {metric.id: metric.statistic.version for metric in questions.metrics},
        }
    )
    return Protocol(suite, questions, references, identity)
