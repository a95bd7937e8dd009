"""Classifier-free guidance."""

import pytest
import torch

from genbench.methods.guidance import guide, predictions

CONDITIONAL = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
NULL = torch.tensor([0.5, 0.0, -1.0, 9.0]).view(1, 4, 1, 1)


def flat(x):
    return x.flatten().tolist()


# By hand: null + scale·(conditional - null) on the guided channels.
@pytest.mark.parametrize(
    ("scale", "channels", "expected"),
    [
        (2.0, None, [1.5, 4.0, 7.0, -1.0]),
        (2.0, 4, [1.5, 4.0, 7.0, -1.0]),
        (2.0, 9, [1.5, 4.0, 7.0, -1.0]),
        (2.0, 3, [1.5, 4.0, 7.0, 4.0]),
        (1.5, 1, [1.25, 2.0, 3.0, 4.0]),
        (1.0, None, [1.0, 2.0, 3.0, 4.0]),
        (0.0, 3, [0.5, 0.0, -1.0, 4.0]),
    ],
)
def test_guided_channels_are_mixed_and_the_rest_is_kept(scale, channels, expected):
    assert flat(guide(CONDITIONAL, NULL, scale, channels, rest=CONDITIONAL)) == expected


def test_the_rest_may_be_the_unconditional_prediction():
    assert flat(guide(CONDITIONAL, NULL, 2.0, 3, rest=NULL)) == [1.5, 4.0, 7.0, 9.0]


def test_both_predictions_come_from_one_call_in_the_order_of_dit_and_sit():
    calls = []

    def network(x, t, labels):
        calls.append((x.shape, t.tolist(), labels.tolist()))
        return x * 10 + labels.view(-1, 1, 1, 1)

    x = torch.tensor([1.0, 2.0]).view(2, 1, 1, 1)
    conditional, null = predictions(network, x, torch.tensor([0.25, 0.5]), torch.tensor([3, 4]), null=9)
    assert calls == [((4, 1, 1, 1), [0.25, 0.5, 0.25, 0.5], [3, 4, 9, 9])]
    assert (flat(conditional), flat(null)) == ([13, 24], [19, 29])
