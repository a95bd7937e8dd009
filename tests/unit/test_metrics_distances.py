"""MMD-RBF, MIND, Vendi, FDr, FWD and the per-class statistics."""

import numpy as np
import pytest
import torch

from genbench.errors import FeatureError, UsageError
from genbench.features.spaces import get
from genbench.metrics.catalog import parse
from genbench.metrics.frechet import frechet_distance
from genbench.metrics.frechet_forms import frechet_ratio, mean_ratio, wavelet_distance
from genbench.metrics.inception_score import inception_score
from genbench.metrics.measure import Labels, measure, measure_all
from genbench.metrics.mind import monge_distance
from genbench.metrics.mmd_rbf import rbf_distance
from genbench.metrics.moments import Moments
from genbench.metrics.neighbours import neighbourhoods
from genbench.metrics.reference import Reference
from genbench.metrics.vendi import vendi_score

RNG = np.random.default_rng(0)
X = (RNG.standard_normal((60, 7)) * 1.2 + 0.4).astype(np.float32)
Y = RNG.standard_normal((45, 7)).astype(np.float32)


def reference(features: np.ndarray, space: str = "toy", labels: Labels | None = None) -> Reference:
    return Reference.from_features(features.astype(np.float32), space=space, space_digest="", labels=labels)


def test_mmd_rbf_is_the_definition() -> None:
    x, y = (side.astype(np.float64) / np.linalg.norm(side.astype(np.float64), axis=1)[:, None] for side in (X, Y))

    def mean_kernel(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.exp(-np.square(a[:, None] - b[None]).sum(axis=-1) / (2 * 10**2)).mean())

    expected = 1000 * (mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y))
    assert rbf_distance(X, Y).value == pytest.approx(expected, rel=1e-9)
    assert 0 <= rbf_distance(X, X).value < 1e-10


def test_the_standard_error_of_mmd_rbf_is_the_spread_over_draws() -> None:
    # 100 draws know a standard deviation to 7 %.
    draws = [rbf_distance(RNG.standard_normal((80, 5)) + 0.5, Y[:, :5]) for _ in range(100)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    assert np.mean([draw.stderr for draw in draws]) == pytest.approx(spread, rel=0.25)


def test_a_feature_vector_of_zeros_has_no_direction() -> None:
    zeros = np.concatenate([Y, np.zeros((1, 7), np.float32)])
    with pytest.raises(FeatureError, match="reference features: row 45 is all zeros"):
        rbf_distance(X, zeros)
    with pytest.raises(FeatureError, match="row 45 is all zeros"):
        vendi_score(zeros)


def test_mind_of_a_shift_is_three_times_its_square() -> None:
    # Each projection moves by u·s, and E (u·s)² = |s|²/d: 3d times that is 3|s|².
    shift = np.arange(7, dtype=np.float32)
    assert monge_distance(X + shift, X) == pytest.approx(3 * float(shift @ shift), rel=0.1)
    assert monge_distance(X, X) == 0


def test_mind_draws_the_subset_first_and_then_the_directions() -> None:
    # The order of draws of torch-fidelity 0.5, from one CPU generator of seed 2020.
    generator = torch.Generator().manual_seed(2020)
    kept = X[torch.randperm(60, generator=generator)[:45].numpy()]
    drawn = torch.randn(1000, 7, generator=generator).numpy()
    unit = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    gaps = np.sort(kept @ unit.T, axis=0) - np.sort(Y @ unit.T, axis=0)
    assert monge_distance(X, Y) == pytest.approx(3 * 7 * np.square(gaps).mean(), rel=1e-5)
    assert monge_distance(X, Y) != monge_distance(X[:45], Y)


@pytest.mark.parametrize("n", [60, 5])
def test_vendi_is_the_entropy_of_the_whole_similarity_matrix(n: int) -> None:
    x = X[:n].astype(np.float64)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(x @ x.T / n)
    values = values[values > 1e-12]
    assert vendi_score(X[:n]).value == pytest.approx(np.exp(-(values * np.log(values)).sum()), rel=1e-9)


def test_vendi_counts_unlike_images() -> None:
    assert vendi_score(np.repeat(np.eye(5), 8, axis=0)).value == pytest.approx(5, rel=1e-9)
    assert vendi_score(np.ones((9, 4))).value == pytest.approx(1, rel=1e-9)
    assert vendi_score(np.eye(6)).value == pytest.approx(6, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(400, 6), (30, 200)])
def test_the_standard_error_of_vendi_is_the_spread_over_draws(n: int, d: int) -> None:
    scale = np.arange(1, d + 1) ** -1.0
    draws = [vendi_score(RNG.standard_normal((n, d)) * scale) for _ in range(150)]
    spread = np.std([draw.value for draw in draws], ddof=1)
    # First order: it runs low where n < d.
    assert (0.8 if n > d else 0.6) < np.mean([draw.stderr for draw in draws]) / spread < 1.25


def test_fdr_is_a_ratio_and_its_mean_over_spaces_knows_that_images_are_shared() -> None:
    train, held_out = Moments.from_features(RNG.standard_normal((300, 7))), Moments.from_features(Y)
    ratio = frechet_ratio(X, train, held_out)
    assert ratio.value == pytest.approx(frechet_distance(X, train).value / frechet_distance(Y, train).value, rel=1e-10)
    twice = mean_ratio([ratio, ratio])
    assert (twice.value, twice.stderr) == (pytest.approx(ratio.value), pytest.approx(ratio.stderr))
    with pytest.raises(FeatureError, match="ratios of"):
        mean_ratio([ratio, frechet_ratio(X[:50], train, held_out)])
    with pytest.raises(FeatureError, match="distance 0"):
        frechet_ratio(X, Moments(2, np.zeros(7), np.zeros((7, 7))), Moments(2, np.zeros(7), np.zeros((7, 7))))


@pytest.mark.parametrize(("n", "d", "seed"), [(60, 7, 0), (300, 40, 1), (537, 255, 2), (100, 255, 3)])
def test_fdr_refuses_the_reference_in_another_order_as_held_out_images(n: int, d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    train = np.abs(rng.standard_normal((n, d))) * np.arange(1, d + 1) ** -1.5 + 1
    first, other = Moments.from_features(train), Moments.from_features(train[rng.permutation(n)])
    for held_out in (first, other):
        with pytest.raises(FeatureError, match="held-out images are at distance 0 from the reference"):
            frechet_ratio(train * 1.1, first, held_out)


def test_fdr_takes_held_out_images_that_are_very_near() -> None:
    # A hundredth of the least denominator in print, 0.043 of MAE, beside variances of 60,000 in all.
    train = Moments(50_000, np.zeros(3), np.eye(3) * 49_999 * 10_000)
    held_out = Moments(50_000, np.array([0.02, 0, 0]), train.scatter)
    assert frechet_ratio(X[:, :3], train, held_out).denominator == pytest.approx(4e-4, rel=1e-6)


def test_fdr_needs_held_out_images() -> None:
    metric = parse("fdr@toy")
    with pytest.raises(FeatureError, match="fdr@toy reads held-out real images"):
        measure(metric, X, reference(Y))
    measured = measure(metric, X, reference(Y), held_out=reference(RNG.standard_normal((70, 7))))
    assert (measured.n, measured.n_reference) == (60, 45)


def test_fdr_over_several_spaces_is_the_mean_of_their_ratios() -> None:
    wide = np.concatenate([X, X[:, :2] ** 2], axis=1)
    features = {"toy": X, "wide": wide}
    train = {"toy": reference(Y), "wide": reference(RNG.standard_normal((80, 9)), "wide")}
    held_out = {name: reference(RNG.standard_normal((70, f.shape[1])), name) for name, f in features.items()}
    joint, *parts = metrics = [parse(name) for name in ("fdr@toy+wide", "fdr@toy", "fdr@wide")]
    assert joint.spaces == ("toy", "wide")
    found = measure_all(metrics, features, train, held_out=held_out)
    assert found[joint.id].value == pytest.approx(np.mean([found[part.id].value for part in parts]), rel=1e-12)
    assert (found[joint.id].n, found[joint.id].n_reference) == (60, 45)
    for space, part in zip(joint.spaces, found[joint.id].parts, strict=True):
        expected = found[f"fdr@{space}"]
        assert (part.name, part.n) == (space, 60)
        assert (part.value, part.stderr) == pytest.approx((expected.value, expected.stderr), rel=1e-12)
        # The denominator is the distance of the held-out images, measured as those of the generated ones.
        real = measure(parse(f"fd@{space}"), held_out[space].features, train[space])
        assert part.denominator == pytest.approx(real.value, rel=1e-9)
    # Errors of two functions of the same images add up to more than independent ones would, and to no more than theirs.
    errors = [found[part.id].stderr for part in parts]
    assert np.linalg.norm(errors) / 2 < found[joint.id].stderr <= np.mean(errors)
    for missing, sides in (("reference", ({"toy": train["toy"]}, held_out)), ("held-out", (train, {}))):
        with pytest.raises(FeatureError, match=missing):
            measure_all([joint], features, sides[0], held_out=sides[1])


def test_fdr6_is_over_the_six_spaces_of_its_paper() -> None:
    metric = parse("fdr6")
    assert metric.label == "FDr^6"
    # Section 2.1 of arXiv:2604.28190: Inception, ConvNeXt-v2, DINOv2, MAE, SigLIP 2, CLIP, and their widths.
    assert [get(space).width for space in metric.spaces] == [2048, 1024, 1024, 1024, 1152, 1024]


@pytest.mark.parametrize("name", ["fd@toy+wide", "fdr@toy+toy", "fdr@toy+"])
def test_what_is_no_set_of_spaces_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="space") as caught:
        parse(name)
    assert caught.value.hint


def test_fwd_is_the_mean_of_frechet_distances_of_packets() -> None:
    x, y = RNG.standard_normal((40, 12)), RNG.standard_normal((50, 12)) * 1.3
    found = wavelet_distance(x, Moments.from_features(y), packets=4)
    expected = [
        frechet_distance(x[:, i : i + 3], Moments.from_features(y[:, i : i + 3])).value for i in range(0, 12, 3)
    ]
    np.testing.assert_allclose(found.packets, expected, rtol=1e-9)
    assert found.value == pytest.approx(np.mean(expected))
    with pytest.raises(FeatureError, match="7 coefficients are not 256 packets"):
        wavelet_distance(X, Moments.from_features(Y))


def test_fwd_of_packets_covariances_is_fwd_of_the_whole_one() -> None:
    x, y = (RNG.standard_normal((n, 3 * 256)).astype(np.float32) for n in (40, 50))
    whole, packets = (Reference.from_features(y, space="toy", space_digest="", packets=p) for p in (1, 256))
    assert (whole.cov.size, packets.cov.size) == (768**2, 768**2 / 256)
    metric = parse("fwd@toy")
    of_whole, of_packets = (measure(metric, x, side) for side in (whole, packets))
    assert of_packets.value == pytest.approx(of_whole.value, rel=1e-12)
    assert of_packets.stderr == pytest.approx(of_whole.stderr, rel=1e-12)
    for sides in ({"reference": packets}, {"reference": whole, "held_out": packets}):
        with pytest.raises(FeatureError, match="fdr@toy reads a whole covariance"):
            measure(parse("fdr@toy"), x, **({"held_out": whole} | sides))
    with pytest.raises(FeatureError, match="covariances of 128 packets are not those of 256"):
        measure(metric, x, Reference.from_features(y, space="toy", space_digest="", packets=128))
    with pytest.raises(FeatureError, match="features are 512 wide"):
        measure(metric, x[:, :512], packets)


GENERATED = Labels(np.arange(60) % 3)
REAL = Labels(np.arange(45) % 3)


def test_per_class_statistics_are_means_over_classes() -> None:
    pairs = [(X[GENERATED.classes == c], Y[REAL.classes == c]) for c in range(3)]
    expected = {
        "fd-per-class@toy": [frechet_distance(x, Moments.from_features(y)).value for x, y in pairs],
        "coverage-per-class@toy": [neighbourhoods(x, y, k=5, strict=True).covered.mean() for x, y in pairs],
        "is-per-class@toy/logits": [inception_score(x, splits=1).value for x, _ in pairs],
        "vendi-per-class@toy": [vendi_score(x).value for x, _ in pairs],
    }
    for name, values in expected.items():
        metric = parse(name)
        measured = measure(metric, X, reference(Y, metric.space, REAL), labels=GENERATED)
        assert measured.value == pytest.approx(np.mean(values), rel=1e-9)
        assert measured.stderr > 0


def test_a_class_without_images_is_an_error_or_uncovered() -> None:
    without = Labels(np.arange(60) % 2)
    with pytest.raises(FeatureError, match="class 2 has no generated images"):
        measure(parse("fd-per-class@toy"), X, reference(Y, labels=REAL), labels=without)
    measured = measure(parse("coverage-per-class@toy"), X, reference(Y, labels=REAL), labels=without)
    pairs = [(X[without.classes == c], Y[REAL.classes == c]) for c in range(2)]
    covered = [neighbourhoods(x, y, k=5, strict=True).covered.mean() for x, y in pairs]
    assert measured.value == pytest.approx(sum(covered) / 3)


def test_classes_of_one_name_are_compared_whatever_their_numbers() -> None:
    cats = Labels.of_folders(["cat"] * 30 + ["dog"] * 30)
    real = Labels.of_folders(["bird"] * 20 + ["cat"] * 25)
    with pytest.raises(FeatureError, match="class bird has no generated images"):
        measure(parse("fd-per-class@toy"), X, reference(Y, labels=real), labels=cats)
    measured = measure(parse("coverage-per-class@toy"), X, reference(Y, labels=real), labels=cats)
    covered = neighbourhoods(X[:30], Y[20:], k=5, strict=True).covered.mean()
    assert 0 < measured.value == pytest.approx(covered / 2)
    both = Labels.of_folders(["cat"] * 20 + ["dog"] * 25)
    swapped = Labels(1 - both.classes, ("dog", "cat"))
    expected = measure(parse("fd-per-class@toy"), X, reference(Y, labels=both), labels=cats)
    assert measure(parse("fd-per-class@toy"), X, reference(Y, labels=swapped), labels=cats) == expected


def test_labels_that_do_not_fit_are_refused() -> None:
    metric = parse("fd-per-class@toy")
    with pytest.raises(FeatureError, match="fd-per-class@toy is taken class by class"):
        measure(metric, X, reference(Y, labels=REAL))
    with pytest.raises(FeatureError, match="the reference's classes are not known"):
        measure(metric, X, reference(Y), labels=GENERATED)
    with pytest.raises(FeatureError, match="toy reference labels: expected 45 class numbers"):
        reference(Y, labels=GENERATED)
    with pytest.raises(FeatureError, match="generated labels: expected 60 class numbers"):
        measure(metric, X, reference(Y, labels=REAL), labels=Labels(GENERATED.classes[:5]))
    with pytest.raises(FeatureError, match=r"class 60 has 1 generated image\(s\)"):
        measure(metric, X, reference(Y, labels=REAL), labels=Labels(np.append(np.arange(59) % 3, 60)))
