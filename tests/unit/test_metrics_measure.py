import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics import comparison
from genbench.metrics.catalog import parse
from genbench.metrics.frechet import frechet_distance
from genbench.metrics.measure import Measurement, measure, measure_all
from genbench.metrics.reference import Reference

RNG = np.random.default_rng(0)
FEATURES = (RNG.standard_normal((80, 6)) * 1.1).astype(np.float32)
REFERENCE = Reference.from_features(
    RNG.standard_normal((120, 6)).astype(np.float32), space="toy", space_digest="a" * 64, keep=50
)
ALL = [parse(f"{statistic}@toy") for statistic in ("fd", "kd", "precision", "recall")]


def test_measurements_say_what_they_rest_on() -> None:
    measured = measure_all(ALL, {"toy": FEATURES}, {"toy": REFERENCE})
    assert list(measured) == [metric.id for metric in ALL]
    assert [(m.n, m.n_reference) for m in measured.values()] == [(80, 120), (80, 50), (80, 50), (80, 50)]
    assert all(isinstance(m.value, float) and isinstance(m.stderr, float) for m in measured.values())
    distance = frechet_distance(FEATURES, REFERENCE)
    assert measured["fd@toy"] == Measurement(distance.value, distance.stderr, 80, 120)


def test_mind_says_how_many_images_of_either_side_took_part() -> None:
    measured = measure_all([parse("mind@toy"), parse("kd@toy")], {"toy": FEATURES}, {"toy": REFERENCE})
    assert [(m.n, m.n_reference) for m in measured.values()] == [(50, 50), (80, 50)]
    fewer = measure(parse("mind@toy"), FEATURES[:30], REFERENCE)
    assert (fewer.n, fewer.n_reference) == (30, 30)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.id)
def test_alone_or_together_a_metric_has_one_value(metric) -> None:
    together = measure_all(ALL, {"toy": FEATURES}, {"toy": REFERENCE})
    assert measure(metric, FEATURES, REFERENCE, space_digest="a" * 64) == together[metric.id]


def test_neighbour_metrics_share_one_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = []

    def counted(*args, **options):
        sweeps.append(args)
        return sweep(*args, **options)

    sweep = comparison.sweep
    monkeypatch.setattr(comparison, "sweep", counted)
    names = ("precision", "recall", "precision-prdc", "recall-prdc", "density", "coverage")
    metrics = [parse(f"{name}@toy") for name in names]
    together = measure_all(metrics, {"toy": FEATURES}, {"toy": REFERENCE})
    assert len(sweeps) == 1
    assert together == {metric.id: measure(metric, FEATURES, REFERENCE) for metric in metrics}


def test_a_statistic_that_needs_no_reference_takes_none() -> None:
    metric = parse("is@toy/logits")
    measured = measure(metric, FEATURES)
    assert (measured.n, measured.n_reference) == (80, 0)
    assert measured.spread is not None
    assert measured == measure_all([metric], {"toy/logits": FEATURES}, {})[metric.id]
    with pytest.raises(FeatureError, match="no reference in space toy"):
        measure(ALL[0], FEATURES)
    with pytest.raises(FeatureError, match="no features in space toy/logits"):
        measure_all([metric], {"toy": FEATURES}, {})


def test_a_space_is_never_taken_for_another() -> None:
    with pytest.raises(FeatureError, match="is of feature space toy, but inception-tf"):
        measure(parse("fid"), FEATURES, REFERENCE)
    with pytest.raises(FeatureError, match="another toy"):
        measure(ALL[0], FEATURES, REFERENCE, space_digest="b" * 64)
    with pytest.raises(FeatureError, match="toy reference is 6 wide"):
        measure(ALL[0], FEATURES[:, :5], REFERENCE)
    with pytest.raises(FeatureError, match=r"no features in space other \(only in toy\)"):
        measure_all([parse("fd@other")], {"toy": FEATURES}, {"toy": REFERENCE})
    with pytest.raises(FeatureError, match="no reference in space toy"):
        measure_all(ALL, {"toy": FEATURES}, {})


def test_a_reference_without_features_serves_moments_only() -> None:
    moments_only = Reference("toy", "", REFERENCE.n, REFERENCE.mean, REFERENCE.cov)
    assert measure(ALL[0], FEATURES, moments_only) == measure(ALL[0], FEATURES, REFERENCE)
    for metric in ALL[1:]:
        with pytest.raises(FeatureError, match=f"{metric.id} compares features"):
            measure(metric, FEATURES, moments_only)


def test_nothing_is_computed_before_everything_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    moments_only = Reference("toy", "", REFERENCE.n, REFERENCE.mean, REFERENCE.cov)
    monkeypatch.setattr("genbench.metrics.frechet.measure_fd", lambda _: pytest.fail("computed"))
    with pytest.raises(FeatureError, match="kd@toy"):
        measure_all(ALL, {"toy": FEATURES}, {"toy": moments_only})


@pytest.mark.parametrize("bad", [FEATURES[:1], FEATURES[:0], FEATURES * np.float32(np.nan), FEATURES[0]])
def test_features_that_cannot_be_measured_are_refused(bad) -> None:
    with pytest.raises(FeatureError, match="toy features") as caught:
        measure(ALL[0], bad, REFERENCE)
    assert caught.value.hint
