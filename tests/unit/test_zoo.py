"""Training of the embedded models: every batch once an epoch, and the same weights however often it was interrupted."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from genbench.methods.dit.network import DiT
from zoo.objectives import OBJECTIVES, linear_velocity
from zoo.train import Data, Trainer, batch_indices, learning_rate, read_variant, training_data

NETWORK = {
    "input_size": 8,
    "patch_size": 4,
    "in_channels": 3,
    "hidden_size": 16,
    "depth": 1,
    "num_heads": 2,
    "num_classes": 3,
    "learn_sigma": False,
}
CONFIG = {
    "card": "sit",
    "variant": "sit-emoji32",
    "objective": "linear-velocity",
    "optimiser": {
        "learning_rate": 1e-2,
        "warmup_steps": 3,
        "weight_decay": 0.0,
        "ema_decay": 0.9,
        "label_dropout": 0.3,
        "autocast": "bfloat16",
    },
    "budget": {"seed": 4, "batch": 6, "steps": 12, "checkpoint_every": 5, "log_every": 4, "snapshots": [0.5, 1.0]},
    "snapshot_images": 10,
}


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    return Data(torch.rand(20, 3, 8, 8, generator=generator) * 2 - 1, torch.arange(20) % 3)


def trainer(data, folder, config=CONFIG, on_snapshot=None):
    torch.manual_seed(1)
    network = DiT(**NETWORK)
    network.initialise()
    return Trainer(config, network, data, folder, on_snapshot)


class KilledError(Exception):
    """The process ends here."""


def run_until(made, step):
    """Train, and be killed before the step after `step`."""
    update = made._update

    def guarded():
        if made.step == step:
            raise KilledError
        return update()

    made._update = guarded
    with pytest.raises(KilledError):
        made.run()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("ema-*")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """A training that nothing interrupted."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    made = trainer(data, folder)
    made.run()
    return made, files(folder)


@pytest.mark.parametrize("kills", [[1], [4], [5], [7], [11], [3, 6, 6, 10]])
def test_a_training_that_was_interrupted_ends_in_the_same_bits(tmp_path, data, whole, kills):
    """Killed before, at and after a checkpoint (steps 5 and 10), and at one place twice."""
    for step in kills:
        run_until(trainer(data, tmp_path), step)
    resumed = trainer(data, tmp_path)
    resumed.run()
    expected, snapshots = whole
    assert files(tmp_path) == snapshots
    assert list(snapshots) == ["ema-000006.safetensors", "ema-000012.safetensors"]
    for key, value in expected.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[key], value), key
        assert torch.equal(resumed.ema[key], expected.ema[key]), key


def test_a_finished_training_does_nothing_more(tmp_path, data, whole):
    trainer(data, tmp_path).run()
    before = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    again = trainer(data, tmp_path)
    again._update = pytest.fail
    again.run()
    assert again.step == 12
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == before
    assert files(tmp_path) == whole[1]


def test_weights_move_and_the_average_follows(whole, data, tmp_path):
    made, _ = whole
    start = trainer(data, tmp_path)
    assert torch.equal(made.ema["pos_embed"], start.network.pos_embed)
    moved = made.network.final_layer.linear.weight.detach()
    average = made.ema["final_layer.linear.weight"]
    assert moved.any()
    assert average.any()
    assert not torch.equal(moved, average)


def test_another_configuration_does_not_continue_a_checkpoint(tmp_path, data):
    run_until(trainer(data, tmp_path), 6)
    other = {**CONFIG, "optimiser": {**CONFIG["optimiser"], "learning_rate": 2e-2}}
    with pytest.raises(SystemExit, match=r"made with another configuration\nhint: move it away"):
        trainer(data, tmp_path, other)
    how_it_is_measured = trainer(data, tmp_path, {**CONFIG, "snapshot_images": 99})
    assert how_it_is_measured.step == 5


def test_the_log_and_the_numbers_of_snapshots(tmp_path, data, capsys):
    def norm(state):
        return {"norm": float(sum(v.square().sum() for v in state.values()))}

    run_until(trainer(data, tmp_path), 7)  # snapshot 6 stands, unmeasured
    trainer(data, tmp_path, on_snapshot=norm).run()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [4, 8, 12]
    assert all(math.isfinite(entry["loss"]) for entry in log)
    measured = [json.loads(line) for line in (tmp_path / "snapshots.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in measured] == [6, 12]
    for entry in measured:
        assert entry["norm"] == norm(load_file(tmp_path / f"ema-{entry['step']:06d}.safetensors"))["norm"]
    assert "loss" in capsys.readouterr().out


def test_every_step_draws_afresh_and_labels_are_dropped_for_guidance(tmp_path, data, monkeypatch):
    seen = []

    def spy(network, images, labels, generator):
        seen.append((float(torch.rand((), generator=generator)), labels.tolist()))
        return linear_velocity(network, images, labels, generator)

    monkeypatch.setitem(OBJECTIVES, "linear-velocity", spy)
    trainer(data, tmp_path).run()
    assert len({draw for draw, _ in seen}) == 12
    labels = [label for _, step in seen for label in step]
    assert set(labels) == {0, 1, 2, 3}
    assert 0.1 < labels.count(3) / len(labels) < 0.5, "0.3 of 72 labels are dropped, within 3.7 standard errors"


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 90))
def test_every_epoch_has_every_image_once(seed, size, batch):
    epochs = 4
    steps = -(-epochs * size // batch)
    sequence = np.concatenate([batch_indices(seed, step, batch, size) for step in range(steps)])
    assert len(sequence) == steps * batch
    for epoch in range(epochs):
        assert sorted(sequence[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [tuple(batch_indices(seed, epoch, 50, 50)) for seed in range(2) for epoch in range(3)]
    assert len(set(orders)) == 6


# By the formula: linear to the peak, then half a cosine, whose middle is half the peak.
@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)])
def test_learning_rate(step, expected):
    assert learning_rate(step, 100, 10, 1.0) == pytest.approx(expected, abs=1e-12)


def test_the_objective_is_zero_for_the_velocity_itself():
    """A network that knows the data: data - noise is (data - x)/(1 - t)."""
    images = torch.rand(5, 3, 4, 4) * 2 - 1

    def knows(x, t, labels):
        assert labels.tolist() == [0, 1, 2, 3, 4]
        return (images - x) / (1 - t)[:, None, None, None]

    loss = linear_velocity(knows, images, torch.arange(5), torch.Generator().manual_seed(0))
    assert float(loss) < 1e-8
    zero = linear_velocity(
        lambda x, t, y: torch.zeros_like(x), images, torch.arange(5), torch.Generator().manual_seed(0)
    )
    assert float(zero) == pytest.approx(1 + 1 / 3, rel=0.3), "Var(noise) + Var(uniform on [-1, 1])"


def test_training_data_is_the_train_split_in_the_range_of_the_sampler():
    found = training_data()
    assert (found.images.shape, found.images.dtype) == ((3404, 3, 32, 32), torch.float32)
    assert (float(found.images.min()), float(found.images.max())) == (-1, 1)
    assert found.labels.shape == (3404,)


def test_the_repositorys_configuration_trains_the_cards_network():
    variant = read_variant(CONFIG)
    network = DiT(**variant["network"])
    assert 2e6 < sum(p.numel() for p in network.parameters()) < 4e6
