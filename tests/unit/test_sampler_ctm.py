"""CTM's jumps. tests/golden compares whole runs with the authors' code."""

import json
import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import UsageError
from genbench.methods.ctm.network import CTMUNet
from genbench.methods.ctm.sampler import CTMSampler, CTMSongSampler, Jump
from genbench.methods.ctm.settings import CTMSettings, CTMSongNetwork
from genbench.methods.ctm.song import CTMSongUNet, TargetedBlock
from genbench.methods.noise import RecordedNoise, SeededNoise

NETWORK = {
    "image_size": 8,
    "num_channels": 32,
    "num_res_blocks": 1,
    "channel_mult": (1, 1),
    "attention_resolutions": (4,),
    "num_head_channels": 16,
    "num_classes": 5,
}
SETTINGS = [
    ({}, 1),
    ({"steps": 2}, 2),
    ({"steps": 40, "ts": "0,22,39"}, 2),
    ({"steps": 3, "gamma": 0.3}, 3),
    ({"steps": 40, "detour": "36,20"}, 2),
]


def sampler(**settings):
    generator = torch.Generator().manual_seed(3)
    state = CTMUNet(**NETWORK).state_dict()
    for value in state.values():
        value.normal_(std=0.1 if value.ndim == 1 else value[0].numel() ** -0.5, generator=generator)
    return CTMSampler(network=NETWORK, settings=CTMSettings(**settings), state=state, device=torch.device("cpu"))


def levels(made):
    return [level for jump in made.jumps() for level in jump]


@pytest.mark.parametrize(("settings", "nfe"), SETTINGS, ids=str)
def test_image_i_is_the_same_at_batch_1_and_4_in_as_many_evaluations_as_said(settings, nfe):
    made = sampler(**settings)
    labels = torch.arange(4)
    whole = made.sample(SeededNoise(range(4)), labels)
    assert (whole.shape, whole.dtype) == ((4, 3, 8, 8), torch.float32)
    for i in range(4):
        assert torch.allclose(made.sample(SeededNoise([i]), labels[i : i + 1])[0], whole[i], atol=1e-4)
    calls = []
    made.network.register_forward_hook(lambda *_: calls.append(1))
    made.sample(SeededNoise([0]), labels[:1])
    assert made.nfe == nfe == len(calls)


def test_exact_jumps_go_from_level_to_level():
    # 2.51522 lies half way from 80 to 0.002 in σ^(1/7).
    assert levels(sampler(steps=2)) == pytest.approx([80, 2.51522, 2.51522, 2.51522, 0.002, 0.002], rel=1e-5)
    assert levels(sampler(steps=40, ts="0,22,39"))[:3] == pytest.approx([80, 1.382368, 1.382368], rel=1e-6)


def test_gamma_jumps_below_the_next_level_and_the_last_jump_adds_nothing():
    first, second = sampler(steps=2, gamma=0.6).jumps()
    assert first == pytest.approx((80, 0.8 * (2.51522 - 0.002) + 0.002, 2.51522), rel=1e-5)
    assert second == pytest.approx((2.51522, 0.002, 0.002), rel=1e-5)
    assert sampler(steps=2, gamma=1).jumps()[0].target == 0.002


def test_a_detour_leads_to_a_low_level_up_and_to_the_last():
    low, high = sampler(steps=40, ts="0,36,39").jumps()[0].target, sampler(steps=40, ts="0,20,39").jumps()[0].target
    assert sampler(steps=40, detour="36,20").jumps() == [Jump(80, low, high), pytest.approx((high, 0.002, 0.002))]


def test_noise_leads_up_from_the_target_to_the_level():
    """A network whose jumps end in the share of x that stays: s/t·x."""
    made = sampler(steps=2, gamma=0.6, clip=False)
    made.denoised = lambda x, t, s, labels: torch.zeros_like(x)
    draws = [torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    found = made.sample(RecordedNoise(draws), torch.tensor([0]))
    (_, target, raised), _ = made.jumps()
    expected = (target * draws[0] + math.sqrt(raised**2 - target**2) * draws[1]) * 0.002 / raised
    assert torch.allclose(found, expected, atol=1e-7)


def test_a_jump_to_where_one_is_changes_nothing():
    x, t = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.tensor([80.0, 0.5])
    labels = torch.tensor([0, 1])
    with torch.inference_mode():
        assert torch.equal(sampler().jump(x, t, t, labels), x)
        assert not torch.equal(sampler().jump(x, t, t / 2, labels), x)


def test_the_full_size_network_has_exactly_the_authors_keys_and_shapes():
    path = Path(__file__).parents[2] / "registry" / "manifests" / "ctm-imagenet64.json"
    official = json.loads(path.read_text())
    full = {"image_size": 64, "num_channels": 192, "num_res_blocks": 3, "channel_mult": (1, 2, 3, 4)}
    full |= {"attention_resolutions": (32, 16, 8), "num_head_channels": 64, "num_classes": 1000}
    with torch.device("meta"):
        network = CTMUNet(**full)
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in network.parameters()) == official["n_params"] == 324_100_611


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps"),
        ({"gamma": 1.1}, "gamma"),
        ({"steps": 40, "ts": "0,22,38"}, "does not end at the last of 40 steps, 39"),
        ({"steps": 40, "ts": "0,39", "detour": "36,20"}, "neither ts nor gamma"),
        ({"steps": 40, "gamma": 0.1, "detour": "36,20"}, "neither ts nor gamma"),
        ({"steps": 40, "detour": "20,36"}, "does not lead up within levels 0 to 39"),
        ({"steps": 40, "detour": "40,20"}, "does not lead up"),
        ({"steps": 40, "detour": "36"}, "not two levels"),
        ({"steps": 40, "detour": "36,a"}, "not two levels"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        CTMSettings(**settings)


def test_the_blocks_of_ddpmpp_are_told_both_times():
    """The one that a block's own layer is silent about comes from the other layer."""
    block = TargetedBlock(4, 8, 6)
    with torch.no_grad():
        time, target = torch.randn(2, 2, 6, generator=torch.Generator().manual_seed(4))
        told = block.told(torch.cat([time, target], dim=1))
        assert torch.allclose(told, block.affine(time) + block.affine_s(target))
        assert not torch.allclose(told, block.told(torch.cat([target, time], dim=1)))


def test_an_unconditional_ddpmpp_takes_any_label_and_one_with_classes_its_own():
    network = {"img_resolution": 8, "img_channels": 3, "model_channels": 8, "channel_mult": (1, 1), "num_blocks": 1}
    network |= {
        "attn_resolutions": (4,),
        "channel_mult_noise": 1,
        "encoder_type": "standard",
        "resample_filter": (1, 1),
    }

    def made(classes):
        arguments = CTMSongNetwork(**network, label_dim=classes).model_dump()
        state = CTMSongUNet(**arguments).state_dict()
        return CTMSongSampler(network=arguments, settings=CTMSettings(), state=state, device=torch.device("cpu"))

    assert made(0).sample(SeededNoise([1]), torch.tensor([7])).shape == (1, 3, 8, 8)
    with pytest.raises(UsageError, match="the network has classes 0 to 2"):
        made(3).sample(SeededNoise([1]), torch.tensor([3]))
