"""Sketches of long features keep squared distances: on average, within the deviation that their size gives."""

import numpy as np
import pytest
import torch

from genbench.errors import FeatureError
from genbench.features.sketch import SKETCHES, WIDTH, sketches
from genbench.features.spaces import get
from genbench.metrics.catalog import parse
from genbench.metrics.diversity import SKETCHES as READ
from genbench.metrics.diversity import mean_pairwise_distance, mean_sketched_distance
from genbench.metrics.measure import measure


def features(n, width, seed=0):
    """Of a steep spectrum, as those of images: most of the variance is in a few directions."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(24, width, generator=generator) / width**0.5
    return torch.randn(n, 24, generator=generator) * torch.arange(1, 25) ** -0.5 @ directions


@pytest.mark.parametrize("width", [5, WIDTH, 5 * WIDTH + 7])
def test_a_sketch_is_the_sum_of_signed_numbers_by_place(width):
    """Linear, with entries of -1 and 1 alone: found by sketching the unit vectors."""
    units = sketches(torch.eye(width))
    assert units.shape == (width, SKETCHES, WIDTH)
    places = units.abs().nonzero()
    assert len(places) == width * SKETCHES
    assert torch.equal(places[:, 2], places[:, 0] % WIDTH)
    assert set(units.unique().tolist()) <= {-1.0, 0.0, 1.0}
    given = torch.randn(3, width)
    assert torch.allclose(sketches(given), torch.einsum("nd,dkw->nkw", given, units), atol=1e-4)


def test_squared_distances_are_kept_to_a_few_percent():
    """Over 8192 projections of a Gaussian difference the deviation is √(2/8192) = 1.6 %; each is within five of it."""
    given = torch.randn(40, 30_000, generator=torch.Generator().manual_seed(2))
    exact = (given[:20] - given[20:]).square().sum(1)
    kept = sketches(given)
    found = (kept[:20] - kept[20:]).square().sum(2).mean(1)
    assert float((found / exact - 1).abs().max()) < 5 * 2**0.5 / 8192**0.5
    assert float((found / exact - 1).mean()) == pytest.approx(0, abs=0.01)


def test_an_image_is_sketched_alike_in_any_batch():
    given = features(5, 3000)
    assert torch.equal(torch.cat([sketches(given[i : i + 1]) for i in range(5)]), sketches(given))


@pytest.mark.parametrize("seed", range(4))
def test_diversity_of_sketches_agrees_with_the_exact_one_within_its_error(seed):
    given = features(80, 20_000, seed)
    exact = mean_pairwise_distance(given.numpy())
    kept = sketches(given).flatten(1).numpy()
    found = mean_sketched_distance(kept, SKETCHES)
    drawn = (found.stderr**2 - (mean_pairwise_distance(kept).stderr / SKETCHES) ** 2) ** 0.5
    assert abs(found.value - exact.value) < 4 * drawn
    assert drawn < 0.02 * exact.value
    assert found.stderr == pytest.approx(exact.stderr, rel=0.2)


def test_the_standard_error_holds_the_spread_over_the_sketches():
    """Two sketches of one number each: distances 2(a_i - a_j)² of means 2·Var, by hand."""
    kept = np.array([[0.0, 0.0], [1.0, 3.0], [2.0, 0.0], [5.0, 1.0]])
    each = [2 * np.var(column, ddof=1) for column in kept.T]
    found = mean_sketched_distance(kept, 2)
    assert found.value == pytest.approx(np.mean(each))
    images = mean_pairwise_distance(kept).stderr / 2
    assert found.stderr == pytest.approx(np.hypot(images, abs(each[0] - each[1]) / 2))


def test_the_statistic_reads_the_space_that_is_made():
    metric = parse("lpips-diversity-sketch")
    assert get(metric.space).shape == (SKETCHES, WIDTH)
    assert READ == SKETCHES
    kept = sketches(features(12, 4000)).flatten(1).numpy()
    measured = measure(metric, kept)
    assert (measured.value, measured.n) == (mean_sketched_distance(kept, SKETCHES).value, 12)
    with pytest.raises(FeatureError, match="8 sketches of one width"):
        measure(metric, kept[:, :-1])
