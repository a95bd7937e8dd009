"""MeanFlow's sampler and network on their own. tests/golden compares whole runs with the PyTorch port."""

import json
from pathlib import Path

import pytest
import torch

from genbench.cards import load_card
from genbench.errors import UsageError
from genbench.methods.meanflow.ditdh import MeanFlowDiTDH
from genbench.methods.meanflow.network import MeanFlowSiT
from genbench.methods.meanflow.sampler import MeanFlowDiTDHSampler, MeanFlowSampler, MeanFlowUNetSampler
from genbench.methods.meanflow.settings import AverageVelocitySettings, MeanFlowSettings
from genbench.methods.meanflow.unet import MeanFlowUNet
from genbench.methods.noise import SeededNoise
from genbench.methods.rae.network import DiTDH
from genbench.validate import random_state

REGISTRY = Path(__file__).parents[2] / "registry"

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


UNET = {
    "img_resolution": 8,
    "in_channels": 3,
    "out_channels": 3,
    "model_channels": 8,
    "channel_mult": (1, 2),
    "num_blocks": 1,
    "attn_resolutions": (4,),
    "channel_mult_noise": 2,
    "encoder_type": "standard",
    "resample_filter": (1, 3, 3, 1),
}


def unet_sampler(network=UNET, extra=None, **settings):
    with torch.device("meta"):
        module = MeanFlowUNet(**network)
    return MeanFlowUNetSampler(
        network=network,
        settings=AverageVelocitySettings(**settings),
        state={**random_state(module), **(extra or {})},
        device=torch.device("cpu"),
    )


def test_the_unet_is_told_the_time_and_the_span_in_this_order():
    network = unet_sampler().network
    x, times = SeededNoise([0]).normal((3, 8, 8)), torch.tensor([[0.25, 1.0]])
    embedded = torch.cat([network.embedded(torch.tensor([1.0])), network.embedded(torch.tensor([0.75]))], dim=1)
    assert torch.equal(network(x, times), network.modulated(x, embedded, None))
    assert not torch.allclose(network(x, times), network(x, torch.tensor([[0.5, 1.0]])))


@pytest.mark.parametrize("steps", [1, 2])
def test_an_image_of_the_unet_is_the_same_at_batch_1_and_3_whatever_its_label(steps):
    made = unet_sampler(steps=steps)
    whole = made.sample(SeededNoise(range(3)), torch.arange(3))
    assert (whole.shape, whole.dtype, made.nfe) == ((3, 3, 8, 8), torch.float32, steps)
    for i in range(3):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([0]))[0], whole[i], atol=1e-4)


def test_a_file_of_the_unet_may_hold_the_layer_of_augmentation_labels():
    augmented = {**UNET, "augment_dim": 6}
    drawn, labels = SeededNoise([1]), torch.tensor([0])
    extra = {"map_augment.weight": torch.ones(32, 6)}
    found = unet_sampler(extra=extra).sample(drawn, labels)
    assert torch.equal(found, unet_sampler().sample(SeededNoise([1]), labels))
    assert unet_sampler(augmented).parameters == unet_sampler().parameters + 32 * 6


def test_the_full_size_unet_is_edms_but_for_what_embeds_the_times():
    network = load_card(REGISTRY / "meanflow-unet.toml").variants["meanflow-cifar10"].network
    with torch.device("meta"):
        built = {key: list(value.shape) for key, value in MeanFlowUNet(**network).state_dict().items()}
    official = json.loads((REGISTRY / "manifests" / "edm-cifar10-32x32-uncond-vp.json").read_text())["keys"]
    edm = {key.removeprefix("model."): shape for key, shape in official.items() if "map_augment" not in key}
    assert built.keys() == edm.keys()
    other = {key for key in edm if built[key] != edm[key]}
    # Two embeddings of 2·128 channels for one of 128, and filters of four taps for two.
    assert other == {"map_layer0.weight"} | {key for key in edm if key.endswith("resample_filter")}
    assert built["map_layer0.weight"] == [512, 512]


DITDH = {
    "input_size": 4,
    "in_channels": 6,
    "hidden_size": (16, 32),
    "depth": (2, 1),
    "num_heads": (2, 2),
    "num_classes": 5,
}


def ditdh_sampler(steps=1):
    with torch.device("meta"):
        module = MeanFlowDiTDH(**DITDH)
    return MeanFlowDiTDHSampler(
        network=DITDH,
        settings=AverageVelocitySettings(steps=steps),
        state=random_state(module),
        device=torch.device("cpu"),
    )


def test_the_representation_transformer_adds_the_spans_embedding_to_the_times():
    """RAE's network with both embedders' sum for the time's: the same everywhere that the time enters."""
    network = ditdh_sampler().network
    x, times, labels = SeededNoise([0]).normal((6, 4, 4)), torch.tensor([[0.25, 1.0]]), torch.tensor([3])
    both = network.t_embedder(torch.tensor([1.0])) + network.r_embedder(torch.tensor([0.75]))
    plain = DiTDH(**DITDH).eval()
    plain.load_state_dict({k: v for k, v in network.state_dict().items() if not k.startswith("r_embedder.")})
    plain.embed_time = lambda t: both
    assert torch.equal(network(x, times, labels), plain(x, torch.tensor([1.0]), labels))
    assert not torch.allclose(network(x, times, labels), network(x, torch.tensor([[0.5, 1.0]]), labels))


@pytest.mark.parametrize("steps", [1, 2])
def test_a_representation_latent_is_the_same_at_batch_1_and_3(steps):
    made = ditdh_sampler(steps)
    whole = made.sample(SeededNoise(range(3)), torch.arange(3))
    assert (whole.shape, made.nfe) == ((3, 6, 4, 4), steps)
    for i in range(3):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([i]))[0], whole[i], atol=1e-4)


def test_the_full_size_representation_transformer_is_raes_and_one_embedder():
    variant = load_card(REGISTRY / "mf-rae.toml").variants["mf-rae-xl-256"]
    rae = json.loads((REGISTRY / "manifests" / "rae-DiTDH-XL-256.json").read_text())
    with torch.device("meta"):
        module = MeanFlowDiTDH(**variant.network)
    keys = {key: list(value.shape) for key, value in module.state_dict().items()}
    time = {key: shape for key, shape in rae["keys"].items() if key.startswith("t_embedder.")}
    assert keys == rae["keys"] | {key.replace("t_embedder.", "r_embedder."): shape for key, shape in time.items()}
    # What counting the authors' class gives, rounded, is 840.6 M.
    assert sum(p.numel() for p in module.parameters()) == 840_595_284


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


@pytest.mark.parametrize(
    ("name", "count"),
    # Counted with the port's classes, frozen positions included.
    [
        ("meanflow-sitb4-256", 131_214_400),
        ("meanflow-sitb2-256", 131_288_080),
        ("meanflow-sitl2-256", 459_399_184),
        ("meanflow-sitxl2-256", 676_735_504),
    ],
)
def test_a_full_size_network_has_exactly_the_ports_keys_and_shapes(name, count):
    variant = load_card(REGISTRY / "meanflow.toml").variants[name]
    official = json.loads((REGISTRY / "manifests" / f"{variant.manifest}.json").read_text())
    with torch.device("meta"):
        network = MeanFlowSiT(**variant.network)
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in network.parameters()) == official["n_params"] == count
