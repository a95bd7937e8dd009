import subprocess
import sys

import pytest

from genbench.errors import UsageError
from genbench.metrics.catalog import ALIASES, METRICS, STATISTICS, parse


@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_and_its_id_name_one_metric(alias: str) -> None:
    metric = parse(alias)
    assert metric == parse(ALIASES[alias])
    assert metric.id == ALIASES[alias]
    assert metric.name == metric.alias == alias
    assert metric in METRICS


def test_a_statistic_can_be_asked_for_in_any_space() -> None:
    metric = parse("precision@effnet-lite0/tokens")
    assert (metric.statistic.name, metric.space) == ("precision", "effnet-lite0/tokens")
    assert metric.alias is None
    assert metric.name == "precision@effnet-lite0/tokens"
    assert metric.label == "Precision (effnet-lite0/tokens)"
    assert parse("fid").label == "FID"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("fit", "no metric named 'fit'", "did you mean fid"),
        ("fd", "without a feature space", "fd@inception-tf"),
        ("fd@", "no metric named 'fd@'|without a feature space", "fd@inception-tf"),
        ("fid@effnet-lite0", "fid is short for fd@inception-tf", "write fd@effnet-lite0"),
        ("precison@effnet-lite0", "no statistic named 'precison'", "did you mean precision"),
        ("", "no metric named ''", "genbench list metrics"),
    ],
)
def test_an_unknown_name_is_refused_with_the_way_out(name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse(name)
    assert hint in caught.value.hint


@pytest.mark.parametrize("space", ["inception-tf", "inception-tf/spatial", "logits"])
def test_a_statistic_of_one_layer_is_refused_in_others(space: str) -> None:
    with pytest.raises(UsageError, match="is is of logits") as caught:
        parse(f"is@{space}")
    assert caught.value.hint == "for example is@inception-tf/logits"


def test_every_statistic_is_listed_once_and_has_a_heading() -> None:
    assert {metric.statistic.name for metric in METRICS} == set(STATISTICS)
    assert len({metric.id for metric in METRICS}) == len(METRICS)
    assert all(metric.label for metric in METRICS)


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=lambda s: s.name)
def test_every_statistic_names_a_function_that_exists(statistic) -> None:
    assert callable(statistic.load())


def test_listing_metrics_imports_neither_numpy_nor_torch() -> None:
    code = "import sys, genbench.metrics.catalog; sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=lambda s: s.name)
def test_every_statistic_says_what_it_estimates_and_how(statistic) -> None:
    facts = (statistic.title, statistic.source, statistic.stderr, statistic.bias, statistic.cost)
    assert all(fact.strip() for fact in facts)
