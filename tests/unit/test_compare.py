"""`genbench compare`: paired and independent differences, protocols that differ, classes that moved."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from genbench.comparisons.compare import Comparison, compare
from genbench.comparisons.significance import Verdict
from genbench.contributions import class_contributions, influence_table
from genbench.errors import StoreError, UsageError
from genbench.metrics.frechet import FrechetDistance, frechet_distance
from genbench.metrics.labels import Labels
from genbench.metrics.moments import Moments
from genbench.records import ReferenceFacts
from genbench.store import Store

if TYPE_CHECKING:
    from tests.unit.conftest import Add

FD = "fd@inception-tf"
N = 256
LABELS = Labels(np.arange(N) % 4)


def between(results: Path, one: str, other: str, *, cache: Path | None = None, suite: str | None = None) -> Comparison:
    with Store.open(results) as store:
        return compare(store, one, other, cache=cache, suite=suite)


def refusal(results: Path, one: str, other: str) -> UsageError:
    with pytest.raises(UsageError) as error:
        between(results, one, other)
    return error.value


@pytest.fixture
def influences() -> tuple[np.ndarray, np.ndarray]:
    """Of two runs that share most of what an image does, class 3 being worse in the second."""
    generator = np.random.default_rng(0)
    shared = 10 * generator.standard_normal(N)
    one, other = (shared + generator.standard_normal(N) for _ in range(2))
    other[LABELS.classes == 3] += 8.0
    return one - one.mean(), other - other.mean()


@pytest.fixture
def paired(tmp_path: Path, add: Add, influences: tuple[np.ndarray, np.ndarray]) -> Path:
    """Two runs of one seed block with their tables of influences in ``cache``."""
    for number, (run, value, influence) in enumerate(zip("ab", (100.0, 102.0), influences, strict=True)):
        path = tmp_path / "cache" / "features" / f"{run}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(influence_table({FD: influence}, np.arange(N), LABELS))
        add(
            tmp_path / "results",
            number,
            f"toy@{run}",
            {FD: (value, float(influence.std(ddof=1)) / N**0.5), "precision@inception-tf": (0.5, 0.03)},
            contributions=class_contributions({FD: influence}, LABELS),
            influence=f"features/{run}.parquet",
        )
    return tmp_path


def test_images_of_one_seed_are_paired_where_influences_are_known(
    paired: Path, influences: tuple[np.ndarray, np.ndarray]
) -> None:
    one, other = influences
    fd, precision = between(paired / "results", "toy@a", "toy@b", cache=paired / "cache").metrics
    assert fd.difference.value == 2.0
    assert fd.difference.paired
    # Expected: by NumPy from the same influences.
    assert fd.difference.stderr == pytest.approx((other - one).std(ddof=1) / math.sqrt(N))
    assert not precision.difference.paired
    assert precision.difference.stderr == pytest.approx(0.03 * math.sqrt(2))


def test_the_paired_error_is_the_spread_of_differences_over_draws() -> None:
    """200 draws know a spread to 5 %; four times that is allowed."""
    generator = np.random.default_rng(0)
    spectrum = np.arange(1, 17) ** -0.5
    reference = Moments.from_features((generator.standard_normal((5000, 16)) * spectrum).astype(np.float32))

    def distance(features: np.ndarray) -> FrechetDistance:
        return frechet_distance((features * spectrum).astype(np.float32), reference)

    differences, paired, independent = [], [], []
    for _ in range(200):
        shared = generator.standard_normal((N, 16))
        one = distance(1.2 * (shared + 0.2 * generator.standard_normal((N, 16))))
        other = distance(1.25 * (shared + 0.2 * generator.standard_normal((N, 16))))
        differences.append(other.value - one.value)
        paired.append((other.influence - one.influence).std(ddof=1) / math.sqrt(N))
        independent.append(math.hypot(one.stderr, other.stderr))
    assert np.mean(paired) == pytest.approx(np.std(differences, ddof=1), rel=0.2)
    assert np.mean(independent) > 2 * np.mean(paired)


def test_without_influences_errors_are_independent_and_larger(
    paired: Path, influences: tuple[np.ndarray, np.ndarray]
) -> None:
    fd = between(paired / "results", "toy@a", "toy@b").metrics[0]
    assert not fd.difference.paired
    assert fd.difference.stderr == pytest.approx(math.hypot(*(i.std(ddof=1) / math.sqrt(N) for i in influences)))


@pytest.mark.parametrize("keep", [0, 100, -8])
def test_a_damaged_table_of_influences_is_named(paired: Path, keep: int) -> None:
    table = paired / "cache" / "features" / "a.parquet"
    table.write_bytes(table.read_bytes()[:keep])
    with pytest.raises(StoreError, match=r"a\.parquet: no readable table of influences"):
        between(paired / "results", "toy@a", "toy@b", cache=paired / "cache")


def test_classes_that_moved_come_first(paired: Path) -> None:
    for cache in (paired / "cache", None):
        classes = between(paired / "results", "toy@a", "toy@b", cache=cache).classes
        assert len(classes) == 4
        assert classes[0].label == 3
    paired_ones = between(paired / "results", "toy@a", "toy@b", cache=paired / "cache").classes
    # Class 3 rose by 8 less the mean over all images, a quarter of it.
    assert paired_ones[0].difference.value == pytest.approx(6.0, abs=1.0)
    assert paired_ones[0].moved


def test_the_same_images_differ_for_certain(tmp_path: Path, add: Add) -> None:
    add(tmp_path, 1, "toy@a", {FD: (100.0, 5.0)}, images={"digest": "same"})
    add(tmp_path, 2, "toy@b", {FD: (100.0, 5.0)}, images={"digest": "same"})
    add(tmp_path, 3, "toy@c", {FD: (110.0, 5.0)}, images={"digest": "same"})
    assert between(tmp_path, "toy@a", "toy@b").metrics[0].judgement.verdict is Verdict.SAME
    assert between(tmp_path, "toy@a", "toy@c").metrics[0].judgement.verdict is Verdict.WORSE


def test_only_seed_blocks_that_both_have_are_compared(tmp_path: Path, add: Add) -> None:
    add(tmp_path, 1, "toy@a", {FD: (10.0, 0.3)})
    add(tmp_path, 2, "toy@a", {FD: (14.0, 0.4)}, block=1)
    add(tmp_path, 3, "toy@a", {FD: (99.0, 9.0)}, block=2)
    add(tmp_path, 4, "toy@b", {FD: (11.0, 0.0)})
    add(tmp_path, 5, "toy@b", {FD: (17.0, 0.0)}, block=1)
    fd = between(tmp_path, "toy@a", "toy@b").metrics[0]
    assert (fd.blocks, fd.one.value, fd.other.value) == (2, 12.0, 14.0)
    # Mean of 1 and 3; root of 0.3² + 0.4² over two blocks.
    assert (fd.difference.value, fd.difference.paired) == (2.0, False)
    assert fd.difference.stderr == pytest.approx(0.25)


def test_runs_without_a_common_block_are_compared_by_their_means(tmp_path: Path, add: Add) -> None:
    add(tmp_path, 1, "toy@a", {FD: (10.0, 3.0)})
    add(tmp_path, 2, "toy@b", {FD: (30.0, 4.0)}, block=1)
    fd = between(tmp_path, "toy@a", "toy@b").metrics[0]
    assert (fd.blocks, fd.difference) == (0, (20.0, 5.0, False))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"n": 512}, "number of images: 256 and 512"),
        ({"images": {"labels": "uniform"}}, "label policy: none and uniform"),
        ({"precision": "fast"}, "precision of features: exact and fast"),
        ({"suite": "other"}, "suite: quick and other"),
        (
            {"reference": ReferenceFacts(name="real", sha256={"inception-tf": "f" * 64}, n={})},
            "reference inception-tf: toy eeeeeeeeeeee and real ffffffffffff",
        ),
        ({"spaces": {"inception-tf": "d" * 64}}, "feature space inception-tf: cccccccccccc and dddddddddddd"),
        ({}, "suite quick: digests 555555555555 and 666666666666, of other settings or another list of metrics"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, add: Add, changes: dict[str, Any], part: str) -> None:
    facts: dict[str, Any] = {
        "reference": ReferenceFacts(name="toy", sha256={"inception-tf": "e" * 64}, n={}),
        "spaces": {"inception-tf": "c" * 64},
    }
    add(tmp_path, 1, "toy@a", {FD: (1.0, 0.1)}, **facts)
    add(tmp_path, 2, "toy@b", {FD: (1.0, 0.1)}, **{"suite_digest": "6" * 64} | facts | changes)
    error = refusal(tmp_path, "toy@a", "toy@b")
    assert str(error).startswith("toy@a and toy@b cannot be compared: ")
    assert part in str(error)
    assert "genbench run SUITE -m RUN" in error.hint


def test_scores_without_a_suite_are_compared_by_what_their_records_say(tmp_path: Path, add: Add) -> None:
    for number, name in enumerate(["one", "two"]):
        add(tmp_path, number, None, {FD: (1.0 + number, 0.1)}, suite=None, images={"source": name})
    fd = between(tmp_path, "one", "two").metrics[0]
    assert (fd.difference.value, fd.judgement.verdict) == (1.0, Verdict.WORSE)


def test_runs_under_several_suites_ask_which(tmp_path: Path, add: Add) -> None:
    for number, suite in enumerate(["quick", "long"]):
        for run in "ab":
            add(tmp_path, 2 * number + (run == "b"), f"toy@{run}", {FD: (1.0, 0.1)}, suite=suite, suite_digest=suite)
    error = refusal(tmp_path, "toy@a", "toy@b")
    assert str(error) == "toy@a and toy@b were both measured under long (exact) and quick (exact)"
    assert "--suite long" in error.hint
    assert between(tmp_path, "toy@a", "toy@b", suite="quick").one.protocol.suite == "quick"


def test_unknown_and_limited_runs(tmp_path: Path, add: Add) -> None:
    add(tmp_path, 1, "toy@ode", {FD: (1.0, 0.1)})
    add(tmp_path, 2, "toy@smoke", {FD: (2.0, 0.1)}, limited=True)
    assert refusal(tmp_path, "toy@od", "toy@ode").hint.startswith("did you mean toy@ode")
    limited = refusal(tmp_path, "toy@ode", "toy@smoke")
    assert "with --limit only" in str(limited)
    assert "20250101T000000Z-00000002" in limited.hint
    by_record = between(tmp_path, "20250101T000000Z-00000001", "quick/toy@smoke/20250101T000000Z-00000002.json")
    assert by_record.other.name == "toy@smoke"


def test_no_metric_in_common(tmp_path: Path, add: Add) -> None:
    add(tmp_path, 1, "toy@a", {FD: (1.0, 0.1)})
    add(tmp_path, 2, "toy@b", {"kd@toy": (1.0, 0.1)})
    assert "no metric in common" in str(refusal(tmp_path, "toy@a", "toy@b"))


def test_the_command_prints_verdicts_and_classes(paired: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from genbench.cli.main import run

    folders = ["--results", str(paired / "results"), "--cache", str(paired / "cache")]
    assert run(["compare", "toy@a", "toy@b", *folders]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["metric", "toy@a", "toy@b", "difference", "images", "verdict", "n", "needed"]
    assert "256 paired" in out
    assert "Classes that moved in FID: 3 +" in out
    assert run(["compare", "toy@a", "toy@b", "--format", "json", *folders]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["metric"], row["paired"]) for row in rows] == [(FD, True), ("precision@inception-tf", False)]
    assert run(["compare", "toy@a", "toy@b", "--classes", "--format", "csv", *folders]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith(f"{FD},3,,")
    assert run(["compare", "toy@a", "toy@c", *folders]) == 2
    assert "hint: did you mean" in capsys.readouterr().err


def test_a_metric_without_a_standard_error_has_no_verdict_but_that(
    tmp_path: Path, add: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    from genbench.cli.main import run

    for number, name in enumerate("ab"):
        add(tmp_path, number, f"toy@{name}", {FD: (1.0 + number, None)})
    assert between(tmp_path, "toy@a", "toy@b").metrics[0].judgement.verdict is Verdict.NO_ERROR_BAR
    assert run(["compare", "toy@a", "toy@b", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[2].endswith("no error bar")
    assert "No error bar: a difference without a standard error (±) has no verdict." in out
    assert run(["compare", "toy@a", "toy@b", "--format", "json", "--results", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "no error bar"


def test_names_with_quotes_markup_and_shell_characters(
    tmp_path: Path, add: Add, capsys: pytest.CaptureFixture[str]
) -> None:
    from genbench.cli.main import run

    names = ['it\'s@"<b>x<b>"', "$(rm -rf)|a@`b`"]
    for number, name in enumerate(names):
        add(tmp_path, number, name, {FD: (1.0, 0.1)})
    assert run(["compare", *names, "--format", "markdown", "--results", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert 'it\'s@"&lt;b>x&lt;b>"' in out
    assert "$(rm -rf)\\|a@\\`b\\`" in out
