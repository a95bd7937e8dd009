from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from genbench.errors import FeatureError
from genbench.metrics.catalog import parse
from genbench.metrics.clusters import nearest_centres, principal_components
from genbench.metrics.likelihood import likelihood_divergence
from genbench.metrics.measure import measure
from genbench.metrics.memorisation import _mann_whitney_z, authentic, copying_score, realism
from genbench.metrics.neighbours import nearest
from genbench.metrics.reference import Reference

RNG = np.random.default_rng(0)


def drawn(n: int, d: int = 6) -> np.ndarray:
    return RNG.standard_normal((n, d)).astype(np.float32)


def distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(x.astype(np.float64)[:, None] - y.astype(np.float64)[None]).sum(axis=-1))


def radii(points: np.ndarray, k: int) -> np.ndarray:
    among = distances(points, points)
    np.fill_diagonal(among, np.inf)
    return np.sort(among, axis=1)[:, k - 1]


TRAIN, TEST, NEW = drawn(300), drawn(200), drawn(150)
COPIES = TRAIN[:150] + 0.01 * drawn(150)


def test_nearest_among_another_set_is_exact() -> None:
    across = distances(NEW, TRAIN)
    found = nearest(NEW, 3, among=TRAIN)
    np.testing.assert_array_equal(found.indices, np.argsort(across, axis=1)[:, :3])
    np.testing.assert_allclose(found.squares, np.sort(across, axis=1)[:, :3] ** 2, rtol=1e-12)
    np.testing.assert_array_equal(nearest(TRAIN, 1, among=TRAIN).indices[:, 0], np.arange(300))
    with pytest.raises(FeatureError, match=r"2 image\(s\), at least 3"):
        nearest(NEW, 3, among=TRAIN[:2])


def test_authentic_is_the_definition() -> None:
    across = distances(NEW, TRAIN)
    expected = across.min(axis=1) > radii(TRAIN, 1)[across.argmin(axis=1)]
    np.testing.assert_array_equal(authentic(NEW, TRAIN), expected)
    assert 0.4 < expected.mean() < 0.9
    assert not authentic(TRAIN[:50], TRAIN).any()
    assert authentic(COPIES, TRAIN).mean() < 0.05


def test_authpct_is_in_percent() -> None:
    reference = Reference.from_features(TRAIN, space="toy", space_digest="")
    measured = measure(parse("authpct@toy"), NEW, reference)
    assert measured.value == pytest.approx(100 * authentic(NEW, TRAIN).mean())
    assert 1 < measured.stderr < 10


def test_realism_is_the_definition() -> None:
    own = radii(TRAIN, 3)
    small = own < np.median(own)
    expected = (own[small] / distances(NEW, TRAIN[small])).max(axis=1)
    np.testing.assert_allclose(realism(NEW, TRAIN), expected, rtol=1e-9)


def test_realism_of_a_copy_is_infinite_and_its_mean_is_refused() -> None:
    own = radii(TRAIN, 3)
    at = int(own.argmin())
    assert np.isinf(realism(TRAIN[at : at + 1], TRAIN)).all()
    reference = Reference.from_features(TRAIN, space="toy", space_digest="")
    with pytest.raises(FeatureError, match="generated image 1 has the features of a reference image"):
        measure(parse("realism@toy"), np.stack([NEW[0], TRAIN[at]]), reference)
    with pytest.raises(FeatureError, match="no neighbour ball is smaller"):
        realism(NEW, np.ones((20, 6), np.float32))


def test_realism_knows_a_copy_of_a_reference_that_was_rounded_in_its_file(tmp_path: Path) -> None:
    train = np.abs(drawn(400, 64)) * np.logspace(-6, 1, 64, dtype=np.float32)
    new = np.abs(drawn(50, 64)) * np.logspace(-6, 1, 64, dtype=np.float32)
    Reference.from_features(train, space="toy", space_digest="").save(tmp_path / "toy")
    stored = Reference.load(tmp_path / "toy")
    assert not np.array_equal(stored.features, train)
    metric, at = parse("realism@toy"), int(radii(train, 3).argmin())
    new[3] = train[at]
    with pytest.raises(FeatureError, match="generated image 3 has the features of a reference image"):
        measure(metric, new, stored)
    new[3] += 2e-3 * train[at]  # float16 moves a number by no more than a 2,048th of it
    assert measure(metric, new, stored).value > 1


def test_mann_whitney_is_that_of_scipy_with_a_continuity_correction_upwards() -> None:
    x, y = RNG.standard_normal(30), RNG.standard_normal(40) + 0.3
    u = mannwhitneyu(x, y).statistic
    assert _mann_whitney_z(x, y) == pytest.approx((u - 599.5) / (30 * 40 * 71 / 12) ** 0.5)


def test_the_copying_score_tells_copies_from_new_images() -> None:
    assert copying_score(COPIES, TRAIN, TEST) < -5
    # Under no copying each cell's z is standard normal, and the score is their mean.
    assert abs(copying_score(NEW, TRAIN, TEST)) < 3
    assert copying_score(NEW, TRAIN, TEST) == copying_score(NEW, TRAIN, TEST)
    with pytest.raises(FeatureError, match="no cell holds more than 20 of 15 generated images"):
        copying_score(NEW[:15], TRAIN, TEST)


def test_k_means_finds_blobs_and_takes_duplicates() -> None:
    blobs = np.repeat(np.eye(3) * 50, 40, axis=0) + RNG.standard_normal((120, 3))
    cells = nearest_centres(blobs, 3)(blobs).reshape(3, 40)
    assert (cells == cells[:, :1]).all()
    assert len(set(cells[:, 0])) == 3
    assert nearest_centres(np.ones((5, 2)), 3)(np.ones((4, 2))).shape == (4,)


def test_principal_components_keep_distances_when_there_are_as_many_as_features() -> None:
    projected = principal_components(TRAIN, 64)(TRAIN)
    assert projected.shape == (300, 6)
    np.testing.assert_allclose(distances(projected, projected), distances(TRAIN, TRAIN), atol=1e-5)
    spread = projected.var(axis=0)
    assert (np.diff(spread) <= 0).all()


def test_fld_is_low_for_new_images_and_high_for_copies_and_for_a_worse_model() -> None:
    train, test = drawn(250, 8), drawn(200, 8)
    new = likelihood_divergence(drawn(250, 8), train, test).value
    copies = likelihood_divergence(train + 1e-3 * drawn(250, 8), train, test).value
    shifted = likelihood_divergence(drawn(250, 8) + 1.5, train, test).value
    assert new < copies
    assert new < shifted
    # As many new images as training ones do better than half of these: below 0, or a little above by chance.
    assert new < 5


def test_fld_fits_the_widths_of_two_gaussians() -> None:
    # With a centre on each of two groups of deviation 1, at 3 and -3 in every feature, the best variance is a tenth of
    # that of all images and the NLL a feature ½ log 2πe/10, and log(2)/d for the weights, here with the training set as
    # held-out set. Adam at a rate of 0.5 comes to it where the first widths are near, as they are with many features.
    groups = np.where(np.arange(1000) % 2, 3, -3)[:, None]
    train = (groups + drawn(1000, 64)).astype(np.float32)
    found = likelihood_divergence(np.full((2, 64), [[3], [-3]], np.float32), train, train)
    assert found.nll == pytest.approx(0.5 * np.log(2 * np.pi * np.e / 10) + np.log(2) / 64, abs=0.01)


@pytest.mark.parametrize("name", ["fld@toy", "c-t@toy"])
def test_held_out_images_are_needed_with_features(name: str) -> None:
    metric, train = parse(name), Reference.from_features(TRAIN, space="toy", space_digest="")
    test = Reference.from_features(TEST, space="toy", space_digest="")
    moments_only = Reference("toy", "", test.n, test.mean, test.cov)
    with pytest.raises(FeatureError, match="reads held-out real images"):
        measure(metric, NEW, train)
    with pytest.raises(FeatureError, match="held-out toy reference carries moments only"):
        measure(metric, NEW, train, held_out=moments_only)
    assert np.isfinite(measure(metric, NEW, train, held_out=test).value)
