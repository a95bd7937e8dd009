import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from genbench.errors import FeatureError, UsageError
from genbench.metrics.catalog import parse
from genbench.metrics.frechet import frechet_distance_of_moments
from genbench.metrics.measure import measure
from genbench.metrics.moments import Moments
from genbench.metrics.reference import Reference
from genbench.metrics.spatial.distances import (
    correlogram_frechet,
    layout_kernel,
    shift,
    spatial_wasserstein,
    statistics,
)
from genbench.tokens import correlogram, layout
from genbench.tokens.grid import LAYOUT_WIDTH, Grid
from genbench.tokens.layout import averaged_with_mirror

RNG = np.random.default_rng(0)
GRID = Grid(16, 16)
Y, X = np.mgrid[:16, :16] / 15


def correlograms(tokens: np.ndarray) -> np.ndarray:
    return correlogram.correlograms(torch.from_numpy(tokens)).numpy()


def layouts(tokens: np.ndarray) -> np.ndarray:
    return layout.layouts(torch.from_numpy(tokens)).numpy()


def scenes(n: int, seed: int) -> np.ndarray:
    """(n, 256, 6) tokens of pictures: sky above ground, lit from the left, a round subject near the middle."""
    rng = np.random.default_rng(seed)
    sky, ground, light, subject = rng.standard_normal((4, n, 1, 1, 6)) + np.eye(6)[:4, None, None, None] * 3
    centre_y, centre_x = rng.normal(0.55, 0.08, (2, n, 1, 1))
    inside = 1 / (1 + np.exp(((Y - centre_y) ** 2 + (X - centre_x) ** 2 - 0.06) * 60))[..., None]
    field = sky * (1 - Y[..., None]) + ground * Y[..., None] + light * (1 - X[..., None])
    field = field * (1 - inside) + subject * inside
    return (field + rng.standard_normal(field.shape) * 0.4).reshape(n, 256, 6).astype(np.float32)


REAL, OTHERS = scenes(120, 1), scenes(150, 2)
G_REAL, G_OTHERS = correlograms(REAL), correlograms(OTHERS)
LAYOUT_REAL, LAYOUT_OTHERS = layouts(REAL), layouts(OTHERS)


def noisy(tokens: np.ndarray, amount: float) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (tokens + rng.standard_normal(tokens.shape) * amount).astype(np.float32)


def shuffled(tokens: np.ndarray, amount: float) -> np.ndarray:
    """The tokens of a share `amount` of places change places among themselves, differently in each image."""
    rng, moved = np.random.default_rng(3), tokens.copy()
    for image in moved:
        places = rng.permutation(256)[: round(256 * amount)]
        image[places] = image[rng.permutation(places)]
    return moved


def swapped(tokens: np.ndarray) -> np.ndarray:
    """Diagonal quadrants change places: every part of a picture is as it was, in the wrong place."""
    return np.roll(tokens.reshape(-1, 16, 16, 6), (8, 8), axis=(1, 2)).reshape(tokens.shape)


def collage(tokens: np.ndarray) -> np.ndarray:
    """Each quadrant is of another picture."""
    fields = tokens.reshape(-1, 16, 16, 6)
    made = fields.copy()
    made[:, :8, 8:] = np.roll(fields, 1, axis=0)[:, :8, 8:]
    made[:, 8:, :8] = np.roll(fields, 2, axis=0)[:, 8:, :8]
    made[:, 8:, 8:] = np.roll(fields, 3, axis=0)[:, 8:, 8:]
    return made.reshape(tokens.shape)


def three(tokens: np.ndarray) -> list[float]:
    """SSW, CFD and LSD to the other scenes."""
    g = correlograms(tokens)
    return [
        spatial_wasserstein(g, G_OTHERS, GRID).mean.value,
        correlogram_frechet(g, G_OTHERS, GRID).value,
        layout_kernel(layouts(tokens), LAYOUT_OTHERS).value,
    ]


def test_images_of_one_distribution_are_at_the_floor() -> None:
    # The floors are expectations: over 30 pairs of seeds both ratios average 1.0, single ones lie in 0.6..2.7 (SSW) and
    # 0.2..6.3 (CFD).
    ssw = spatial_wasserstein(G_REAL, G_OTHERS, GRID).mean
    assert 0.5 < ssw.value / ssw.floor < 3
    cfd = correlogram_frechet(G_REAL, G_OTHERS, GRID)
    assert 0.1 < cfd.value / cfd.floor < 7
    lsd = layout_kernel(LAYOUT_REAL, LAYOUT_OTHERS)
    assert lsd.floor == 0
    assert lsd.stderr is not None
    assert abs(lsd.value) < 3 * lsd.stderr


@pytest.mark.parametrize(("spoil", "amounts"), [(noisy, (0, 0.5, 1, 2)), (shuffled, (0, 0.2, 0.5, 1))])
def test_distances_rise_with_the_damage(spoil, amounts) -> None:
    by_damage = np.array([three(spoil(REAL, amount)) for amount in amounts])
    assert (np.diff(by_damage, axis=0) > 0).all()


def test_a_collage_has_more_structure_than_a_picture_and_is_farther_from_pictures() -> None:
    made = collage(REAL)
    more = statistics(correlograms(made), GRID)["lds"].mean() - statistics(G_REAL, GRID)["lds"].mean()
    assert more > 0
    assert (np.array(three(made)) > 2 * np.abs(three(REAL))).all()


def test_the_layout_sees_what_mean_tokens_do_not() -> None:
    moved = swapped(REAL)
    assert moved.mean(axis=1) == pytest.approx(REAL.mean(axis=1), abs=1e-5)
    here, there = layout_kernel(LAYOUT_REAL, LAYOUT_OTHERS), layout_kernel(layouts(moved), LAYOUT_OTHERS)
    assert there.stderr is not None
    assert there.value > here.value + 10 * there.stderr


def test_identical_sets_are_at_zero() -> None:
    ssw = spatial_wasserstein(G_REAL, G_REAL, GRID)
    assert ssw.mean.value == 0
    assert [part.shift for part in ssw.by_statistic.values()] == [0, 0, 0]
    assert correlogram_frechet(G_REAL, G_REAL, GRID).value == pytest.approx(0, abs=1e-9)


def test_wasserstein_is_scipys_in_standard_deviations() -> None:
    ours, theirs = RNG.normal(0.3, 1.2, 70), RNG.normal(0, 2, 90)
    ours[:5] = theirs[:5]  # values that stand on both sides
    found = shift(ours, theirs, "x")
    sd = theirs.std(ddof=1)
    assert found.distance.value == pytest.approx(wasserstein_distance(ours, theirs) / sd, rel=1e-12)
    assert found.shift == pytest.approx((ours.mean() - theirs.mean()) / sd, rel=1e-12)


def test_the_influence_is_the_slope_of_the_distance() -> None:
    ours, theirs = RNG.normal(0.3, 1.2, 40), RNG.normal(0, 2, 60)
    found, sd, step = shift(ours, theirs, "x"), theirs.std(ddof=1), 1e-7
    for image in (0, 17, 39):
        weights = np.full(40, (1 - step) / 40)
        weights[image] += step
        moved = wasserstein_distance(ours, theirs, u_weights=weights) / sd
        assert (moved - found.distance.value) / step == pytest.approx(found.influence[image], rel=1e-4, abs=1e-6)
    assert found.influence.mean() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(("mean", "low", "high"), [(0.5, 0.85, 1.2), (0.0, 0.95, 1.6)])
def test_the_standard_error_is_the_spread_over_draws(mean: float, low: float, high: float) -> None:
    # Where both sides are one distribution, the distance is not differentiable, and the first-order error errs high.
    reference = RNG.standard_normal(300)
    draws = [shift(RNG.normal(mean, 1, 150), reference, "x") for _ in range(300)]
    spread = np.std([draw.distance.value for draw in draws], ddof=1)
    assert low < np.mean([draw.distance.stderr for draw in draws]) / spread < high
    assert np.mean([draw.shift_stderr for draw in draws]) == pytest.approx(
        np.std([draw.shift for draw in draws]), rel=0.15
    )


def test_the_floor_of_a_normal_statistic() -> None:
    # √(2/π) ∫√(Φ(1-Φ)) = 1.288, and the mean of draws.
    draws = [shift(RNG.standard_normal(200), RNG.standard_normal(300), "x").distance for _ in range(200)]
    assert np.mean([draw.floor for draw in draws]) == pytest.approx(1.288 * (1 / 200 + 1 / 300) ** 0.5, rel=0.05)
    assert np.mean([draw.value for draw in draws]) == pytest.approx(draws[0].floor, rel=0.1)


def test_the_floor_of_the_correlogram_distance() -> None:
    # White Gaussians of width 15: (1/n + 1/m)(15 + 15·16/4), and the mean of draws.
    draws = [
        correlogram_frechet(RNG.standard_normal((1000, 31)), RNG.standard_normal((1500, 31)), GRID) for _ in range(20)
    ]
    expected = (1 / 1000 + 1 / 1500) * (15 + 60)
    assert np.mean([draw.floor for draw in draws]) == pytest.approx(expected, rel=0.02)
    assert np.mean([draw.value for draw in draws]) == pytest.approx(expected, rel=0.1)


def test_heavy_tails_raise_the_floor_as_they_raise_the_distance() -> None:
    # Each image has a contrast of its own; a common factor s, E s⁴ / (E s²)² = 6 / Γ(2.5)² = 3.4.
    def draw(n: int) -> np.ndarray:
        return RNG.standard_normal((n, 31)) * RNG.exponential(1, (n, 1)) ** 0.75

    draws = [correlogram_frechet(draw(1000), draw(1500), GRID) for _ in range(30)]
    values = np.mean([draw.value for draw in draws])
    assert values > 1.5 * (1 / 1000 + 1 / 1500) * (15 + 60)
    assert np.mean([draw.floor for draw in draws]) == pytest.approx(values, rel=0.15)


def test_cfd_is_the_frechet_distance_of_scaled_lags() -> None:
    scale = G_OTHERS[:, 1:16].std(axis=0, ddof=1)
    expected = frechet_distance_of_moments(
        Moments.from_features(G_REAL[:, 1:16] / scale), Moments.from_features(G_OTHERS[:, 1:16] / scale)
    )
    assert correlogram_frechet(G_REAL, G_OTHERS, GRID).value == pytest.approx(expected, rel=1e-6)


def test_ssw_is_the_mean_of_its_parts() -> None:
    ssw = spatial_wasserstein(G_REAL, G_OTHERS, GRID)
    assert list(ssw.by_statistic) == ["lds", "cds", "rmsc"]
    assert ssw.mean.value == pytest.approx(np.mean([part.distance.value for part in ssw.by_statistic.values()]))
    # Triangle inequality of standard errors.
    assert ssw.mean.stderr is not None
    assert ssw.mean.stderr <= np.mean([part.distance.stderr for part in ssw.by_statistic.values()]) + 1e-12


def test_layout_by_its_definition() -> None:
    image = OTHERS[0].reshape(4, 4, 4, 4, 6).astype(np.float64)  # region row, y, region column, x
    regions = image.mean(axis=(1, 3)).reshape(16, 6)
    centred = regions - regions.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    expected = [float(centred[i] @ centred[j]) for i in range(16) for j in range(i + 1, 16)]
    assert len(expected) == LAYOUT_WIDTH
    assert LAYOUT_OTHERS[0] == pytest.approx(expected, abs=1e-6)


def test_regions_of_a_side_that_four_does_not_divide() -> None:
    # On six positions a region is 1.5 wide: doubling every token in both directions makes twelve, 3 a region.
    small = RNG.standard_normal((2, 6, 6, 3))
    doubled = small.repeat(2, axis=1).repeat(2, axis=2)
    assert layouts(small.reshape(2, 36, 3)) == pytest.approx(layouts(doubled.reshape(2, 144, 3)), abs=1e-12)


def test_mirrored_layouts_do_not_know_left_from_right() -> None:
    flipped = REAL.reshape(-1, 16, 16, 6)[:, :, ::-1].reshape(REAL.shape)
    assert np.abs(layouts(flipped) - LAYOUT_REAL).max() > 0.1
    expected = (LAYOUT_REAL + layouts(flipped)) / 2
    assert averaged_with_mirror(LAYOUT_REAL) == pytest.approx(expected, abs=1e-12)
    assert averaged_with_mirror(layouts(flipped)) == pytest.approx(expected, abs=1e-12)


def test_images_of_one_token_have_a_layout_of_zeros() -> None:
    assert layouts(np.full((1, 256, 3), 0.1)) == pytest.approx(np.zeros((1, LAYOUT_WIDTH)), abs=1e-6)


def test_bad_input_is_refused() -> None:
    alike, broken = np.repeat(G_REAL[:1], 5, axis=0), G_REAL.copy()
    broken[3, 4] = np.nan
    for distance in (spatial_wasserstein, correlogram_frechet):
        with pytest.raises(FeatureError, match="1 generated image"):
            distance(G_REAL[:1], G_OTHERS, GRID)
        with pytest.raises(FeatureError, match="1 reference image"):
            distance(G_REAL, G_OTHERS[:1], GRID)
        with pytest.raises(FeatureError, match="all alike in"):
            distance(G_REAL, alike, GRID)
        with pytest.raises(FeatureError, match="NaN or infinity"):
            distance(broken, G_OTHERS, GRID)
    with pytest.raises(FeatureError, match="1 image"):
        layout_kernel(LAYOUT_REAL[:1], LAYOUT_OTHERS)
    with pytest.raises(FeatureError, match="no 4x4 regions"):
        layouts(REAL[:, :9])
    with pytest.raises(FeatureError, match="CFD is not defined on a grid of 1x16"):
        correlogram_frechet(G_REAL[:, :16], G_OTHERS[:, :16], Grid(1, 16))


def test_generated_images_that_are_all_alike_are_at_a_defined_distance() -> None:
    alike = np.repeat(G_REAL[:1], 5, axis=0)
    assert spatial_wasserstein(alike, G_OTHERS, GRID).mean.value > 0.5
    assert correlogram_frechet(alike, G_OTHERS, GRID).value > 1


@pytest.mark.parametrize(("name", "n_reference"), [("ssw", 90), ("cfd", 150), ("lsd", 90)])
def test_as_metrics_they_are_what_the_functions_give(name: str, n_reference: int) -> None:
    metric = parse(f"{name}@toy/{'layout' if name == 'lsd' else 'correlogram'}")
    assert metric.statistic.direction == "lower"
    ours, theirs = (LAYOUT_REAL, LAYOUT_OTHERS) if name == "lsd" else (G_REAL, G_OTHERS)
    ours, theirs = ours.astype(np.float32), theirs.astype(np.float32)
    reference = Reference.from_features(theirs, space=metric.space, space_digest="", keep=90)
    kept = reference.features
    expected = {
        "ssw": lambda: spatial_wasserstein(ours, kept, GRID).mean,
        "cfd": lambda: correlogram_frechet(ours, theirs, GRID),
        "lsd": lambda: layout_kernel(ours, kept),
    }[name]()
    measured = measure(metric, ours, reference)
    assert (measured.n, measured.n_reference) == (120, n_reference)
    # Float32 features, and products taken in another order.
    assert measured.value == pytest.approx(expected.value, rel=1e-4)
    assert measured.stderr == pytest.approx(expected.stderr, rel=1e-3)


@pytest.mark.parametrize("name", ["ssw@effnet-lite0", "cfd@effnet-lite0/tokens", "lsd@effnet-lite0/correlogram"])
def test_they_are_refused_where_there_is_no_structure(name: str) -> None:
    with pytest.raises(UsageError, match="which the features of effnet-lite0"):
        parse(name)


def test_correlograms_of_no_square_grid_are_refused() -> None:
    even = G_REAL[:, :30].astype(np.float32)
    reference = Reference.from_features(even, space="toy/correlogram", space_digest="")
    for name in ("ssw", "cfd"):
        with pytest.raises(FeatureError, match="30 distances are not those of a square grid"):
            measure(parse(f"{name}@toy/correlogram"), even, reference)
