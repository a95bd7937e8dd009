"""Which tokens may be drawn, by hand."""

import math

import pytest
import torch

from genbench.methods.truncation import truncate

PROBABILITIES = torch.tensor([0.5, 0.1, 0.3, 0.1])


def kept(top_k=0, top_p=1.0, probabilities=PROBABILITIES):
    found = truncate(probabilities.log(), top_k, top_p)
    left = found > -math.inf
    assert torch.equal(found[left], probabilities.log()[left])
    return left.nonzero().flatten().tolist()


def test_nothing_is_dropped_by_zero_and_one():
    assert kept() == [0, 1, 2, 3]


@pytest.mark.parametrize(("top_k", "expected"), [(1, [0]), (2, [0, 2]), (3, [0, 1, 2, 3]), (4, [0, 1, 2, 3])])
def test_ties_of_the_kth_survive(top_k, expected):
    assert kept(top_k) == expected


@pytest.mark.parametrize(
    ("top_p", "expected"), [(0.01, [0]), (0.45, [0]), (0.55, [0, 2]), (0.79, [0, 2]), (0.95, [0, 1, 2, 3])]
)
def test_the_nucleus_is_the_fewest_most_probable_that_reach_the_mass(top_p, expected):
    """Of the two tokens of 0.1 the mass 0.9 to 1 needs both, and less than 0.8 none."""
    assert kept(top_p=top_p) == expected


def test_the_nucleus_is_of_what_top_k_left():
    """Of 0.5 and 0.3 the first has 0.625 of the mass."""
    assert kept(2, 0.6) == [0]
    assert kept(2, 0.65) == [0, 2]


def test_rows_are_apart():
    logits = torch.tensor([[[0.0, 5.0], [5.0, 0.0]]])
    assert truncate(logits, 1, 1.0).argmax(-1).tolist() == [[1, 0]]
    assert (truncate(logits, 0, 0.5) == -math.inf).sum() == 2
