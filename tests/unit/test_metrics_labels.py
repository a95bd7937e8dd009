"""Class folders become numbers, two sides get the same numbers, and labels that do not fit are told."""

import numpy as np
import pytest

from genbench.errors import FeatureError
from genbench.metrics.labels import Labels


def test_folders_are_numbered_in_alphabetical_order() -> None:
    found = Labels.of_folders(["n02", "n01", "n02", "n10"])
    assert found.classes.tolist() == [1, 0, 1, 2]
    assert found.names == ("n01", "n02", "n10")
    assert found.of(slice(1, 3)).classes.tolist() == [0, 1]


def test_folders_of_numbers_are_class_numbers() -> None:
    found = Labels.of_folders(["7", "010", "0"])
    assert found.classes.tolist() == [7, 10, 0]
    assert (found.names, found.name(10)) == (None, "10")


def test_names_decide_which_classes_are_the_same() -> None:
    reference = Labels(np.arange(3), ("bird", "cat", "dog"))
    found = Labels.of_folders(["dog", "ant", "dog", "bird"]).numbered_as(reference)
    assert found.classes.tolist() == [2, 3, 2, 0]
    assert [found.name(c) for c in range(4)] == ["bird", "cat", "dog", "ant"]


def test_numbers_decide_where_one_side_has_no_names() -> None:
    reference = Labels(np.arange(3), ("bird", "cat", "dog"))
    found = Labels(np.array([2, 0])).numbered_as(reference)
    assert (found.classes.tolist(), found.name(2)) == ([2, 0], "dog")
    unnamed = Labels.of_folders(["b", "a"]).numbered_as(Labels(np.arange(2)))
    assert unnamed.classes.tolist() == [1, 0]


def test_a_class_without_a_name_among_names_is_refused() -> None:
    with pytest.raises(FeatureError, match="class 2 has no name, as there are 2 names"):
        Labels(np.array([0, 2]), ("bird", "cat")).numbered_as(Labels(np.arange(1), ("cat",)))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (np.arange(4), r"some labels: expected 5 class numbers from 0, got int64 of shape \(4,\)"),
        (np.zeros(5), "got float64"),
        (np.arange(5) - 1, "expected 5 class numbers from 0"),
    ],
)
def test_labels_that_do_not_fit_are_refused(classes: np.ndarray, message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        Labels(classes).check(5, "some")
