"""A check: what was measured under a suite, against a baseline, through gates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from genbench.comparisons.baselines import open_baseline
from genbench.comparisons.gates import GateResult, Outcome, failing, hold
from genbench.comparisons.significance import CONFIDENCE
from genbench.store import Store
from genbench.suites import Gate, Suite


class Check(NamedTuple):
    """What was held against what, and what came out."""

    suite: str
    baseline: str
    strict: bool
    results: tuple[GateResult, ...]

    @property
    def failed(self) -> list[GateResult]:
        """The results that fail the check."""
        return failing(self.results, strict=self.strict)

    @property
    def verdict(self) -> Outcome:
        """The gravest outcome."""
        return min((result.outcome for result in self.results), key=list(Outcome).index)


def check(
    suite: Suite,
    baseline: str,
    *,
    results: Path,
    registry: Sequence[Path] = (),
    suites: Sequence[Path] = (),
    gates: Sequence[Gate] = (),
    runs: str = "*",
    strict: bool = False,
    precision: str = "exact",
    cache: Path | None = None,
    confidence: float = CONFIDENCE,
) -> Check:
    """Hold the results of a suite against a baseline.

    Args:
        suite: whose results are checked.
        baseline: folder of records, Parquet file of records, or git revision of the results folder.
        results: folder of records.
        registry: folders of method cards.
        suites: folders of suites.
        gates: what is held; none means the suite's own.
        runs: glob over the runs that are checked.
        strict: whether inconclusive gates, and those without an error bar or a baseline, fail too.
        precision: of the features, exact or fast.
        cache: folder below which each image's influence lies, for pairing.
        confidence: of intervals.

    Raises `UsageError` for a baseline that is none of these, for results and gates that are missing, and for metrics
    that no run has.
    """
    with (
        Store.open(results, registry=registry, suites=suites) as store,
        open_baseline(baseline, results) as earlier,
    ):
        found = hold(
            store,
            earlier,
            suite.id,
            gates or suite.gates,
            runs=runs,
            precision=precision,
            cache=cache,
            confidence=confidence,
        )
    return Check(suite.id, baseline, strict, tuple(found))
