"""Noise: one generator an image, and the replay of recorded draws."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from genbench.methods.noise import RecordedNoise, SeededNoise, gumbel

SEEDS = [0, 1, 5, 1_000_000, 2**40, 2**63 - 1]


def everything(noise):
    """One draw of each kind, in a fixed order; the batch is the first dimension of each."""
    weights = torch.tensor([0.1, 0.4, 0.5]).expand(len(noise), 4, 3)
    return [noise.normal((2, 3)), noise.uniform((5,)), noise.categorical(weights), noise.normal(())]


@pytest.mark.parametrize("rows", [[0], [3, 1], [5, 4, 3, 2, 1, 0], [2, 2]])
def test_an_images_draws_depend_on_its_seed_alone(rows):
    whole = everything(SeededNoise(SEEDS))
    part = everything(SeededNoise([SEEDS[i] for i in rows]))
    for found, expected in zip(part, whole, strict=True):
        assert torch.equal(found, expected[rows])


def test_draws_of_one_generator_continue_and_repeat_with_the_seed():
    noise = SeededNoise([7])
    first, second = noise.normal((100,)), noise.normal((100,))
    assert not torch.equal(first, second)
    again = SeededNoise([7])
    assert torch.equal(again.normal((100,)), first)
    assert torch.equal(again.normal((100,)), second)
    assert torch.equal(first[0], torch.randn(100, generator=torch.Generator().manual_seed(7)))


def test_the_global_generator_is_neither_read_nor_moved():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    found = everything(SeededNoise([3]))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(torch.equal(a, b) for a, b in zip(found, everything(SeededNoise([3])), strict=True))


def test_shapes_and_dtypes():
    noise = SeededNoise(range(3))
    assert len(noise) == 3
    assert (noise.normal((4, 5)).shape, noise.normal((4, 5)).dtype) == ((3, 4, 5), torch.float32)
    assert (noise.uniform(()).shape, noise.uniform(()).dtype) == ((3,), torch.float32)
    for batched in [(3, 7), (3, 2, 7), (3, 2, 5, 7)]:
        found = noise.categorical(torch.ones(batched))
        assert (found.shape, found.dtype) == (batched[:-1], torch.int64)
    empty = SeededNoise([])
    assert (len(empty), empty.normal((2,)).shape, empty.categorical(torch.ones(0, 4, 7)).shape) == (0, (0, 2), (0, 4))


def test_normal_and_uniform_are_what_they_are_called():
    """Kolmogorov-Smirnov on 20,000 draws of fixed seeds; p would be below 1e-3 once in a thousand choices of seeds."""
    noise = SeededNoise(range(200))
    assert stats.kstest(noise.normal((100,)).flatten().numpy(), "norm").pvalue > 1e-3
    uniform = noise.uniform((100,)).flatten()
    assert stats.kstest(uniform.numpy(), "uniform").pvalue > 1e-3
    assert float(uniform.min()) >= 0
    assert float(uniform.max()) < 1


@pytest.mark.parametrize("weights", [[1, 2, 3, 4], [0.05, 0.9, 0.05], [3e-5, 1e-5], [1e4, 3e4, 0, 6e4]])
def test_categorical_frequencies(weights):
    """Chi-square of 40,000 draws against weights that need not sum to one."""
    probabilities = torch.tensor(weights, dtype=torch.float32)
    drawn = SeededNoise(range(400)).categorical(probabilities.expand(400, 100, -1)).flatten()
    counts = torch.bincount(drawn, minlength=len(weights)).double()
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = (probabilities / probabilities.sum() * 40_000).double()[possible]
    statistic = float(((counts[possible] - expected) ** 2 / expected).sum())
    assert stats.chi2.sf(statistic, int(possible.sum()) - 1) > 1e-3


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.0, 1e-30, 0.2, 1.0, 7.0]), min_size=1, max_size=12).filter(any), st.integers(0, 99)
)
def test_a_class_of_probability_zero_is_never_drawn(weights, seed):
    probabilities = torch.tensor(weights)
    drawn = SeededNoise([seed]).categorical(probabilities.expand(1, 64, -1))
    assert bool((probabilities[drawn] > 0).all())


class Edge(SeededNoise):
    """Uniform draws at the ends of [0, 1)."""

    def uniform(self, shape):
        ends = torch.tensor([0.0, 1 - 2**-24])
        return ends.view(2, *[1] * len(shape)).expand(2, *shape)


def test_the_ends_of_the_unit_interval_draw_possible_classes():
    found = Edge([0, 1]).categorical(torch.tensor([[0.0, 0.3, 0.7, 0.0]] * 2))
    assert found.tolist() == [1, 2]


def test_each_row_is_drawn_from_its_own_probabilities():
    certain = torch.eye(6)[torch.tensor([[3, 1], [0, 5]])]
    assert SeededNoise([1, 2]).categorical(certain).tolist() == [[3, 1], [0, 5]]


def test_recorded_draws_come_back_in_order_whatever_their_kind():
    draws = [torch.randn(2, 3), torch.rand(2, 4), torch.tensor([[1, 2], [3, 4]])]
    noise = RecordedNoise(draws)
    assert (len(noise), noise.left) == (2, 3)
    assert torch.equal(noise.normal((3,)), draws[0])
    assert torch.equal(noise.uniform((4,)), draws[1])
    assert torch.equal(noise.categorical(torch.ones(2, 2, 9)), draws[2])
    assert noise.left == 0


def test_an_images_generator_draws_what_the_image_would():
    drawn = [torch.empty(4).normal_(generator=generator) for generator in SeededNoise([5, 6]).generators()]
    assert torch.equal(torch.stack(drawn), SeededNoise([5, 6]).normal((4,)))
    with pytest.raises(ValueError, match="recorded draws have no generators"):
        RecordedNoise([torch.zeros(1, 3)]).generators()


def test_a_recorded_draw_of_another_shape_is_refused_and_kept():
    noise = RecordedNoise([torch.zeros(2, 3), torch.zeros(2, 4)])
    noise.normal((3,))
    with pytest.raises(ValueError, match=r"draw 2 has shape \(4,\), not \(5,\)"):
        noise.uniform((5,))
    with pytest.raises(ValueError, match=r"draw 2 has shape \(4,\), not \(3,\)"):
        noise.categorical(torch.ones(2, 3, 7))
    assert noise.left == 1
    noise.uniform((4,))
    with pytest.raises(ValueError, match="draw 3 was never recorded"):
        noise.normal((3,))


def test_gumbel_noise_is_of_its_distribution_and_finite_at_both_ends():
    found = gumbel(SeededNoise(range(4)), (500,))
    assert found.shape == (4, 500)
    assert stats.kstest(found.flatten().numpy(), stats.gumbel_r.cdf).pvalue > 0.01
    ends = gumbel(RecordedNoise([torch.tensor([[0.0, 1 - 2.0**-24]])]), (2,))
    assert bool(ends.isfinite().all())
    assert float(ends[0, 0]) > 17 > -2 > float(ends[0, 1])
