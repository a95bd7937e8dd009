"""Batches are halved when memory runs out, said so, and give the same results."""

import pytest
import torch

from genbench.engine.memory import Halving
from genbench.errors import RunFailedError


class Device:
    """Doubles numbers, at most `room` at once."""

    def __init__(self, room):
        self.room, self.sizes = room, []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2 GiB")
        return 2 * torch.as_tensor(batch)


def test_a_batch_is_halved_until_it_fits_and_no_later_one_is_larger(capsys):
    device = Device(room=3)
    halving = Halving(device, "sampling")
    assert torch.equal(torch.cat(halving(range(5, 15))), 2 * torch.arange(5, 15))
    assert device.sizes == [10, 5, 2, 2, 2, 2, 2]
    device.sizes.clear()
    assert torch.equal(torch.cat(halving(torch.arange(3))), 2 * torch.arange(3))
    assert device.sizes == [2, 1]
    assert capsys.readouterr().err.splitlines() == [
        "warning: sampling: out of memory with 10 images at once, going on with 5",
        "warning: sampling: out of memory with 5 images at once, going on with 2",
    ]


def test_a_batch_that_fits_is_left_whole(capsys):
    device = Device(room=8)
    assert len(Halving(device, "sampling")(range(8))) == 1
    assert device.sizes == [8]
    assert not capsys.readouterr().err


def test_memory_that_does_not_hold_one_image_ends_the_run():
    with pytest.raises(RunFailedError, match="does not hold one image") as caught:
        Halving(Device(room=0), "feature extraction")(range(4))
    assert "Tried to allocate" not in str(caught.value)
    assert "--device" in caught.value.hint
