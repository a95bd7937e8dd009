"""EDM's sampler and networks on their own. tests/golden compares whole runs with the authors' code."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from genbench.cards import load_card
from genbench.errors import ConfigError, UsageError, WeightsError
from genbench.methods.edm.blocks import Resample, UNetBlock
from genbench.methods.edm.network import EDMDenoiser
from genbench.methods.edm.sampler import EDMSampler
from genbench.methods.edm.settings import EDMNetwork, EDMSettings
from genbench.methods.efficiency import count
from genbench.methods.loading import find_weights, load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import make_run
from genbench.schema import check
from genbench.validate import random_state

REGISTRY = Path(__file__).parents[2] / "registry"
SONG = {
    "model_type": "SongUNet",
    "img_resolution": 8,
    "img_channels": 3,
    "label_dim": 4,
    "augment_dim": 2,
    "model_channels": 8,
    "channel_mult": (1, 2),
    "num_blocks": 1,
    "attn_resolutions": (4,),
    "embedding_type": "positional",
    "channel_mult_noise": 1,
    "encoder_type": "standard",
    "resample_filter": (1, 1),
}
SONG_ONLY = ("embedding_type", "channel_mult_noise", "encoder_type", "resample_filter")
ADM = {key: value for key, value in SONG.items() if key not in SONG_ONLY} | {
    "model_type": "DhariwalUNet",
    "channel_mult": (1, 8),
}


def state_of(network):
    with torch.device("meta"):
        module = EDMDenoiser(**network)
    return random_state(module)


def sampler(network=SONG, state=None, **settings):
    return EDMSampler(
        network=network,
        settings=EDMSettings(**{"steps": 3, **settings}),
        state=state_of(network) if state is None else state,
        device=torch.device("cpu"),
    )


def test_a_gaussians_denoiser_ends_where_its_flow_does():
    """Of data from N(0, 1/4), D(x, σ) = x/(1 + 4σ²), and x shrinks along the flow as √(1 + 4σ²)."""
    made = sampler(steps=128)
    made.evaluate = lambda x, sigma, _: x / (1 + 4 * sigma.view(-1, 1, 1, 1) ** 2)
    found = made.sample(SeededNoise([1, 2]), torch.tensor([0, 3]))
    assert found.dtype == torch.float32
    assert torch.allclose(found, SeededNoise([1, 2]).normal((3, 8, 8)) * 80 / 25601**0.5, atol=2e-3)
    assert made.nfe == 255


@pytest.mark.parametrize("network", [SONG, ADM, {**SONG, "label_dim": 0}], ids=["song", "adm", "unconditional"])
@pytest.mark.parametrize("churn", [0.0, 5.0])
def test_image_i_is_the_same_at_batch_1_and_3(network, churn):
    made = sampler(network, s_churn=churn)
    whole = made.sample(SeededNoise(range(3)), torch.arange(3))
    assert (whole.shape, whole.dtype) == ((3, 3, 8, 8), torch.float32)
    for i in range(3):
        assert torch.allclose(made.sample(SeededNoise([i]), torch.tensor([i]))[0], whole[i], atol=2e-4)
    assert not torch.allclose(whole[0], whole[1])


def test_labels_change_the_images_of_a_conditional_network_only():
    def difference(network):
        first, second = (sampler(network).sample(SeededNoise([5]), torch.tensor([label])) for label in (0, 3))
        return float((first - second).abs().max())

    assert difference(SONG) > 1e-3
    assert difference({**SONG, "label_dim": 0}) == 0
    with pytest.raises(UsageError, match="classes 0 to 3"):
        sampler().sample(SeededNoise([0]), torch.tensor([4]))


def test_a_file_may_hold_the_layer_of_augmentation_labels_that_the_card_leaves_out():
    state = state_of(SONG)
    without = {**SONG, "augment_dim": 0}
    found = sampler(without, state).sample(SeededNoise([0]), torch.tensor([1]))
    assert torch.equal(found, sampler(SONG, state).sample(SeededNoise([0]), torch.tensor([1])))
    with pytest.raises(WeightsError, match=r"missing model\.map_augment\.weight"):
        sampler(SONG, {key: value for key, value in state.items() if "augment" not in key})


def test_labels_that_are_not_given_are_the_zero_vector():
    network = EDMDenoiser(**SONG).eval()
    network.load_state_dict(random_state(network))
    x, sigma = SeededNoise([0, 1]).normal((3, 8, 8)), torch.tensor([0.5, 20.0])
    with torch.inference_mode():
        assert torch.equal(network(x, sigma), network(x, sigma, torch.zeros(2, 4)))
        assert not torch.equal(network(x, sigma), network(x, sigma, network.one_hot(torch.tensor([0, 1]))))


@pytest.mark.parametrize("taps", [(1, 1), (1, 3, 3, 1)])
def test_resampling_keeps_a_constant_away_from_the_border(taps):
    x = torch.full((1, 2, 8, 8), 3.0)
    up, down = (Resample(way, taps)(x) for way in ("up", "down"))
    assert (up.shape[2:], down.shape[2:]) == ((16, 16), (4, 4))
    assert torch.allclose(up[..., 2:-2, 2:-2], torch.tensor(3.0))
    assert torch.allclose(down[..., 1:-1, 1:-1], torch.tensor(3.0))


def test_the_two_layouts_of_attention_are_permutations_of_each_other():
    """Interleaved channels (head, channel, qkv), reordered to (qkv, head, channel), give the same block."""
    block = UNetBlock(16, 16, 8, heads=2)
    state = random_state(block)
    block.load_state_dict(state)
    order = torch.arange(48).view(2, 8, 3).permute(2, 0, 1).flatten()
    thirds = UNetBlock(16, 16, 8, heads=2, layout="thirds")
    thirds.load_state_dict({key: value[order] if key.startswith("qkv.") else value for key, value in state.items()})
    x, emb = SeededNoise([0]).normal((16, 4, 4)), SeededNoise([1]).normal((8,))
    with torch.inference_mode():
        assert torch.allclose(block(x, emb), thirds(x, emb), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"resample_filter": None}, "a SongUNet needs resample_filter"),
        ({"resample_filter": (1, 2, 1)}, "resample_filter: has an odd number of taps"),
        ({"model_type": "DhariwalUNet"}, "a DhariwalUNet has no embedding_type"),
        ({"img_resolution": 7}, "cannot be halved"),
        ({"dropout": 0.1}, "unknown key 'dropout'"),
    ],
)
def test_networks_that_cannot_be(change, message):
    with pytest.raises(ConfigError, match=message):
        check(EDMNetwork, {**SONG, **change}, "card")


def test_where_the_first_level_is_wider_only_adms_first_convolution_is():
    """As the authors' constructors have it; their models' first level is not wider in ADM."""
    for network, stem in ((SONG, 8), (ADM, 16)):
        built = EDMDenoiser(**{**network, "channel_mult": (2, 4)}).state_dict()
        assert len(built["model.enc.8x8_conv.weight"]) == stem
        assert len(built["model.enc.8x8_block0.conv0.weight"]) == 16


def test_channels_that_cannot_be_normalised_are_told():
    with pytest.raises(ConfigError, match="132 channels cannot be normalised in 32 groups"):
        EDMDenoiser(**{**SONG, "model_channels": 132})


def test_settings_that_cannot_be():
    with pytest.raises(ConfigError, match="steps"):
        check(EDMSettings, {"steps": 1}, "card")
    with pytest.raises(ConfigError, match="not below sigma_max"):
        check(EDMSettings, {"sigma_min": 90}, "card")


CARDS = [
    (variant, card.variants[variant])
    for card in (load_card(REGISTRY / "edm.toml"),)
    for variant in card.variants
    if card.variants[variant].manifest
]


@pytest.mark.parametrize(("name", "variant"), CARDS, ids=[name for name, _ in CARDS])
def test_a_variants_network_is_the_official_one(name, variant):
    official = json.loads((REGISTRY / "manifests" / f"{variant.manifest}.json").read_text())
    with torch.device("meta"):
        built = EDMDenoiser(**variant.network)
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in built.parameters()) == official["n_params"]
    assert sorted(key for key, _ in built.named_buffers()) == sorted(official["buffers"])


@pytest.mark.parametrize(
    ("name", "gmac"),
    # Counted for the authors' classes, in units of 1e9 multiplications, without weights.
    [
        ("edm-cifar10-uncond-vp", 21.19),
        ("edm-cifar10-uncond-ve", 21.40),
        ("edm-ffhq-64-vp", 41.87),
        ("edm-imagenet64-adm", 109.67),
    ],
)
def test_an_evaluation_costs_what_the_authors_network_does(name, gmac):
    variant = load_card(REGISTRY / "edm.toml").variants[name]
    with torch.device("meta"):
        built = EDMDenoiser(**variant.network)
        x, sigma = torch.zeros(1, 3, variant.resolution, variant.resolution), torch.ones(1)
        built.to("meta")
        with FlopCounterMode(display=False) as counted:
            built(x, sigma, torch.zeros(1, variant.classes) if variant.classes else None)
    assert counted.get_total_flops() / 2e9 == pytest.approx(gmac, abs=0.006)


def test_bit_operations_are_counted_for_convolutions_and_linear_layers():
    """All but what attention and the filters that resample multiply, which is less than a fiftieth here."""
    found = count(sampler(ADM), SeededNoise([0]), torch.tensor([1]))
    assert 0.98 < found.bops / (32 * 32) / (found.flops / 2) < 1


CARD = """
[method]
id = "mine"
name = "Mine"
title = "Mine"
sampler = "edm"
[variants.mine]
summary = "a small ADM"
dataset = "cifar10"
resolution = 8
classes = 4
quantise = "round"
default_preset = "heun3"
presets.heun3 = { steps = 3 }
[variants.mine.weights]
file = "mine.pkl"
entry = "ema"
[variants.mine.network]
"""


def test_a_card_takes_its_weights_from_the_authors_pickle(tmp_path):
    network = "\n".join(f"{key} = {json.dumps(value)}" for key, value in ADM.items())
    (tmp_path / "mine.toml").write_text(CARD + network)
    pickled = EDMDenoiser(**ADM)
    pickled.load_state_dict(state_of(ADM))
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "mine.pkl").write_bytes(pickle.dumps({"ema": pickled, "augment_pipe": None}))
    run = make_run(load_card(tmp_path / "mine.toml"), "mine", "heun3", {})
    made = load_sampler(run, find_weights(run, cache=tmp_path / "cache", registry=[tmp_path]), "cpu")
    noise, labels = (SeededNoise([4]), SeededNoise([4])), torch.tensor([2])
    assert torch.equal(made.sample(noise[0], labels), sampler(ADM).sample(noise[1], labels))
