"""MeanFlow's sampler and network on their own. tests/golden compares whole runs with the PyTorch port."""

import json
from pathlib import Path

import pytest
import torch

from genbench.errors import UsageError
from genbench.methods.meanflow.network import MeanFlowSiT
from genbench.methods.meanflow.sampler import MeanFlowSampler
from genbench.methods.meanflow.settings import MeanFlowSettings
from genbench.methods.noise import SeededNoise

NETWORK = {
    "input_size": 8,
    "patch_size": 4,
    "in_channels": 4,
    "hidden_size": 32,
    "depth": 1,
    "num_heads": 2,
    "num_classes": 5,
    "learn_sigma": False,
}


def sampler(**settings):
    generator = torch.Generator().manual_seed(3)
    state = MeanFlowSiT(**NETWORK).state_dict()
    for name, value in state.items():
        if name != "pos_embed":
            value.normal_(std=0.1 if value.ndim == 1 else value[0].numel() ** -0.5, generator=generator)
    return MeanFlowSampler(
        network=NETWORK, settings=MeanFlowSettings(**settings), state=state, device=torch.device("cpu")
    )


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_the_average_velocity_of_a_known_flow_is_exact_in_any_number_of_steps(steps):
    """Of dx/dt = x, x_r = x_t·e^(r - t), so u(x_t, r, t) = x_t·(1 - e^(r - t)) / (t - r): data is noise over e."""
    made = sampler(steps=steps)
    seen = []

    def known(x, times, labels):
        r, t = times.unbind(1)
        seen.append((float(r[0]), float(t[0])))
        return x * ((1 - torch.exp(r - t)) / (t - r)).view(-1, 1, 1, 1)

    made.evaluate = known
    found = made.sample(SeededNoise([1, 2]), torch.tensor([0, 4]))
    assert torch.allclose(found, SeededNoise([1, 2]).normal((4, 8, 8)) / torch.e, atol=1e-6)
    assert (seen[0][1], seen[-1][0], len(seen)) == (1.0, 0.0, made.nfe)


def test_the_second_embedder_is_given_the_span():
    network = sampler().network
    t, r = torch.tensor([0.9, 0.5]), torch.tensor([0.1, 0.5])
    expected = network.t_embedder(t) + network.r_embedder(torch.tensor([0.8, 0.0]))
    assert torch.allclose(network.embed_time(torch.stack([r, t], dim=1)), expected, atol=1e-6)


@pytest.mark.parametrize("cfg", [1.0, 2.0])
def test_image_i_is_the_same_at_batch_1_and_5(cfg):
    made = sampler(steps=3, cfg=cfg)
    whole = made.sample(SeededNoise(range(5)), torch.arange(5))
    assert (whole.shape, whole.dtype) == ((5, 4, 8, 8), torch.float32)
    for i in range(5):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([i]))[0], whole[i], atol=1e-5)
    assert not torch.allclose(whole[0], whole[1])
    with pytest.raises(UsageError, match="classes 0 to 4"):
        made.sample(SeededNoise([0]), torch.tensor([5]))


def test_the_full_size_network_has_exactly_the_ports_keys_and_shapes():
    manifest = Path(__file__).parents[2] / "registry" / "manifests" / "mf-SiT-XL-2.json"
    official = json.loads(manifest.read_text())
    full = {"input_size": 32, "patch_size": 2, "hidden_size": 1152, "depth": 28, "num_heads": 16, "num_classes": 1000}
    with torch.device("meta"):
        network = MeanFlowSiT(**{**NETWORK, **full})
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in network.parameters()) == official["n_params"] == 676_735_504
