"""Plans, and the labels of a suite's images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from genbench.errors import UsageError
from genbench.images.datasets import training_labels
from genbench.plan import Plan, Work, labels, make_plan
from genbench.shards import Shard, split

TRAINING = np.repeat(np.arange(4), [100, 250, 50, 600]).astype(np.int64)
POLICIES = ["balanced", "uniform", "empirical"]


def of(policy, start, stop, classes=4):
    return labels(policy, range(start, stop), classes=classes, training_labels=TRAINING)


@given(st.sampled_from(POLICIES), st.integers(0, 3000), st.integers(0, 300))
def test_a_label_depends_on_its_own_position_alone(policy, start, count):
    """More images, another start and another shard size leave every label as it was."""
    whole = of(policy, 0, 3300)
    assert whole.dtype == np.int64
    assert np.array_equal(of(policy, start, start + count), whole[start : start + count])


def test_balanced_labels_take_turns():
    assert of("balanced", 2, 11).tolist() == [2, 3, 0, 1, 2, 3, 0, 1, 2]
    assert np.bincount(of("balanced", 0, 1003)).tolist() == [251, 251, 251, 250]


def test_uniform_labels_have_equal_chances():
    counts = np.bincount(of("uniform", 0, 20_000, classes=10), minlength=10)
    assert len(counts) == 10
    assert stats.chisquare(counts).pvalue > 1e-3
    assert np.bincount(of("uniform", 0, 20_000, classes=10)[::2]).min() > 0


def test_empirical_labels_are_the_training_labels_once_an_epoch():
    for epoch in range(3):
        shares = np.bincount(of("empirical", 1000 * epoch, 1000 * (epoch + 1)))
        assert shares.tolist() == [100, 250, 50, 600]


def test_every_stretch_of_empirical_labels_has_about_the_training_shares():
    """256 of emoji32's training labels, as the quick suite draws, against their hypergeometric spread."""
    given_labels = training_labels("emoji32")
    size, shares = 256, np.bincount(given_labels) / len(given_labels)
    spread = np.sqrt(size * shares * (1 - shares) * (len(given_labels) - size) / (len(given_labels) - 1))
    for start in (0, 256, 3000, 5000):
        drawn = labels("empirical", range(start, start + size), classes=9, training_labels=given_labels)
        assert np.all(np.abs(np.bincount(drawn, minlength=9) - size * shares) < 4 * spread)


# A change of these numbers changes every cached image and every record: it needs another version of the policy.
def test_labels_are_pinned():
    assert of("empirical", 0, 12).tolist() == [3, 3, 0, 0, 2, 3, 2, 1, 1, 3, 1, 1]
    assert of("uniform", 0, 12).tolist() == [2, 1, 1, 2, 2, 2, 2, 3, 0, 2, 2, 1]


@pytest.mark.parametrize("policy", POLICIES)
def test_an_unconditional_model_gets_zeros(policy):
    found = labels(policy, range(5, 9), classes=0, training_labels=None)
    assert (found.tolist(), found.dtype) == ([0, 0, 0, 0], np.int64)


def test_empirical_labels_need_a_data_set_whose_labels_are_known():
    assert training_labels("imagenet") is None
    with pytest.raises(UsageError, match="empirical label policy needs") as caught:
        labels("empirical", range(4), classes=1000, training_labels=None)
    assert "balanced" in caught.value.hint


SHARDS = split(0, 2500)


def test_a_plan_is_what_is_missing():
    have = {("a", SHARDS[0]), ("b", SHARDS[0]), ("a", SHARDS[2])}
    plan = make_plan(SHARDS, ["a", "b"], lambda space, shard: (space, shard) in have)
    assert plan == Plan((Work(Shard(1000, 1000), ("a", "b")), Work(Shard(2000, 500), ("b",))), 2500)
    assert plan.missing == 1500


@given(st.sets(st.tuples(st.sampled_from("abc"), st.sampled_from(SHARDS))))
def test_doing_a_plan_leaves_nothing_to_do(have):
    plan = make_plan(SHARDS, "abc", lambda space, shard: (space, shard) in have)
    done = have | {(space, work.shard) for work in plan.work for space in work.spaces}
    assert len(done) == len(have) + sum(len(work.spaces) for work in plan.work)
    assert make_plan(SHARDS, "abc", lambda space, shard: (space, shard) in done) == Plan((), 2500)
