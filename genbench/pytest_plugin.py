"""A pytest fixture for training repositories: results of a suite must not be worse than a baseline.

    def test_samples_are_no_worse(genbench_check):
        genbench_check("quick")

Where results, baseline and cache lie is said once, in the settings of pytest (``genbench_results``,
``genbench_baseline``, ``genbench_cache``), or in the call. Nothing heavy is imported before a test asks.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from genbench.comparisons.check import Check


class GenbenchCheck(Protocol):
    """Checks a suite's results; see `genbench_check`."""

    def __call__(
        self,
        suite: str,
        *,
        runs: str = "*",
        baseline: str | None = None,
        results: Path | None = None,
        strict: bool = False,
    ) -> Check:
        """Fail the test when a run is worse by more than a gate of the suite allows, for certain.

        Args:
            suite: name of a suite, or the path of its file.
            runs: glob over the runs that are checked.
            baseline: folder of records, Parquet file of records, or git revision of the results folder.
            results: folder of records.
            strict: fail also what nothing can be said of.
        """
        ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Settings that the fixture reads."""
    parser.addini("genbench_results", "folder of genbench's records", default="results")
    parser.addini("genbench_baseline", "what results are held against: a folder, a Parquet file, a git revision")
    parser.addini("genbench_cache", "folder of genbench's features", default="")


@pytest.fixture
def genbench_check(pytestconfig: pytest.Config) -> GenbenchCheck:
    """``genbench_check(suite)`` fails a test whose results are worse than the baseline; it returns the whole answer."""

    def check(
        suite: str,
        *,
        runs: str = "*",
        baseline: str | None = None,
        results: Path | None = None,
        strict: bool = False,
    ) -> Check:
        from genbench.comparisons.check import check as hold
        from genbench.errors import GenbenchError, UsageError
        from genbench.paths import cache_folder, data_folders
        from genbench.report import gates, tables
        from genbench.suites import find_suite

        root, cache = pytestconfig.rootpath, pytestconfig.getini("genbench_cache")
        against = baseline or pytestconfig.getini("genbench_baseline")
        folders = data_folders("suites", None)
        try:
            if not against:
                raise UsageError("no baseline", hint="genbench_baseline = main, in the settings of pytest")
            answer = hold(
                find_suite(suite, folders),
                against,
                results=root / (results or pytestconfig.getini("genbench_results")),
                registry=data_folders("registry", None),
                suites=folders,
                runs=runs,
                strict=strict,
                cache=cache_folder(root / cache if cache else None),
            )
        except GenbenchError as error:
            pytest.fail(f"genbench_check: {error}\nhint: {error.hint}", pytrace=False)
        if answer.failed:
            shown = gates.text(answer)
            pytest.fail(f"{shown.notes[0]}\n\n{tables.aligned(shown.headings, shown.cells)}", pytrace=False)
        return answer

    return check
