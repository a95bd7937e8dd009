"""Consistency models' samplers. tests/golden compares whole runs with OpenAI's code and diffusers' pipeline."""

import math

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import UsageError, WeightsError
from genbench.methods.adm.network import ADMUNet
from genbench.methods.consistency.sampler import ConsistencySampler, network_time
from genbench.methods.consistency.settings import ConsistencySettings, places_in_grid
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
TEACHER = {"steps": 4, "parametrisation": "edm"}
EVERY = [
    ({"sampler": "onestep"}, 1),
    ({"sampler": "multistep", "ts": "0,22,39"}, 2),
    ({"sampler": "heun", **TEACHER}, 7),
    ({"sampler": "heun", **TEACHER, "s_churn": 4.0, "s_min": 0.05, "s_max": 50.0}, 7),
    ({"sampler": "dpm", **TEACHER}, 8),
    ({"sampler": "euler", **TEACHER}, 4),
    ({"sampler": "ancestral", **TEACHER}, 4),
    ({"sampler": "progdist", **TEACHER}, 4),
]


def weights(**changes):
    """Random weights, larger than any initialisation, so that labels and times show."""
    generator = torch.Generator().manual_seed(3)
    state = ADMUNet(**{**NETWORK, **changes}).state_dict()
    for value in state.values():
        value.normal_(std=0.1 if value.ndim == 1 else value[0].numel() ** -0.5, generator=generator)
    return state


def sampler(state=None, network=None, **settings):
    network = {**NETWORK, **(network or {})}
    return ConsistencySampler(
        network=network,
        settings=ConsistencySettings(**settings),
        state=state or weights(**network),
        device=torch.device("cpu"),
    )


def silent():
    """Weights of a network that gives zero, whatever it is given."""
    return {key: torch.zeros_like(value) for key, value in weights().items()}


def noise(n, seed=1):
    return torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("settings", "nfe"), EVERY, ids=str)
def test_image_i_is_the_same_at_batch_1_and_4_in_as_many_evaluations_as_said(settings, nfe):
    made = sampler(**settings)
    labels = torch.arange(4)
    whole = made.sample(SeededNoise(range(4)), labels)
    assert (whole.shape, whole.dtype) == ((4, 3, 8, 8), torch.float32)
    assert float(whole.abs().max()) <= 1
    for i in range(4):
        assert torch.allclose(made.sample(SeededNoise([i]), labels[i : i + 1])[0], whole[i], atol=1e-4)
    assert not torch.allclose(whole[0], whole[1], atol=1e-2)
    calls = []
    made.network.register_forward_hook(lambda *_: calls.append(1))
    made.sample(SeededNoise([0]), labels[:1])
    assert made.nfe == nfe == len(calls)


def test_a_silent_network_leaves_the_skipped_share_of_the_noise():
    """With F = 0 an image is c_skip(80)·80·z; 3.9062927e-05 is c_skip in float64."""
    z = noise(2)
    found = sampler(silent()).sample(RecordedNoise([z]), torch.tensor([0, 1]))
    assert torch.allclose(found, 80 * 3.9062927e-05 * z, rtol=1e-5, atol=0)


def test_multistep_adds_what_leads_from_the_smallest_level_to_the_next():
    """Of 0,22,39: the level at 22 is 1.382368, where c_skip is 0.11598691."""
    first, second = noise(1), noise(1, seed=2)
    draws = RecordedNoise([first, second])
    found = sampler(silent(), sampler="multistep", ts="0,22,39").sample(draws, torch.tensor([0]))
    at_22 = 80 * 3.9062927e-05 * first + math.sqrt(1.382368**2 - 0.002**2) * second
    assert torch.allclose(found, 0.11598691 * at_22, rtol=1e-5, atol=1e-6)
    assert draws.left == 0


def test_at_the_smallest_level_a_consistency_model_is_the_identity_and_its_teacher_is_not():
    x, sigma, labels = noise(2), torch.full((2,), 0.002), torch.tensor([1, 2])
    with torch.inference_mode():
        assert torch.equal(sampler().denoised(x, sigma, labels), x)
        assert not torch.equal(sampler(parametrisation="edm").denoised(x, sigma, labels), x)


def test_every_estimate_is_clipped_unless_told_otherwise():
    """A silent network from σ = 0.3 to 0.25: the first estimate is far outside [-1, 1], the second its c_skip share."""
    z = 30 * noise(1).sign()
    settings = {"sampler": "multistep", "steps": 3, "ts": "0,1,2", "sigma_max": 0.3, "sigma_min": 0.2, "rho": 1.0}

    def image(clip):
        made = sampler(silent(), **settings, clip=clip)
        return made.sample(RecordedNoise([z, torch.zeros_like(z)]), torch.tensor([0]))

    assert torch.allclose(image(clip=True).abs(), torch.tensor(0.25 / (0.05**2 + 0.25)))
    assert torch.equal(image(clip=False).abs(), torch.ones_like(z))


def test_the_network_is_told_250_times_the_logarithm_of_the_level():
    # τ at 80 and at 1.382368, from the paper's code in float32; the smallest float keeps σ = 0 finite.
    found = network_time(torch.tensor([80.0, 1.382368]))
    assert torch.allclose(found, torch.tensor([1095.5067, 80.949485]), rtol=1e-6)
    assert bool(network_time(torch.zeros(1)).isfinite().all())


def test_labels_matter_and_those_outside_the_classes_are_refused():
    made = sampler()
    z = noise(1)
    images = [made.sample(RecordedNoise([z]), torch.tensor([label])) for label in (0, 4)]
    assert not torch.allclose(*images, atol=1e-3)
    with pytest.raises(UsageError, match="classes 0 to 4"):
        made.sample(RecordedNoise([z]), torch.tensor([5]))


def test_an_unconditional_network_takes_no_notice_of_labels():
    unconditional = {"num_classes": None, "use_scale_shift_norm": False}
    made = sampler(network=unconditional)
    z = noise(1)
    images = [made.sample(RecordedNoise([z]), torch.tensor([label])) for label in (0, 7)]
    assert torch.equal(*images)


def test_half_precision_is_near_float32():
    z, labels = noise(2), torch.tensor([0, 1])
    exact = sampler().sample(RecordedNoise([z]), labels)
    half = sampler(dtype="float16").sample(RecordedNoise([z]), labels)
    assert half.dtype == torch.float32
    assert 0 < float((half - exact).abs().max()) < 0.02


def test_weights_of_the_other_layout_that_lack_a_key_say_which(hosted):
    state = dict(hosted.unet.state_dict())
    assert sampler(state=state, network=hosted.network).parameters == sum(v.numel() for v in state.values())
    del state["up_blocks.0.resnets.1.conv2.bias"]
    with pytest.raises(WeightsError, match=r"missing output_blocks\.1\.0\.out_layers\.3\.bias"):
        sampler(state=state, network=hosted.network)


def test_places_in_the_grid_increase_and_end_at_its_last_level():
    assert places_in_grid("0, 22,39", 40) == (0, 22, 39)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,22,38", "does not end at the last of 40 steps, 39"),
        ("0,39,40", "does not end"),
        ("22,0,39", "does not increase"),
        ("0,22,22,39", "does not increase"),
        ("39", "does not increase"),
        ("0;39", "not whole numbers"),
        ("-1,39", "not whole numbers"),
        ("", "not whole numbers"),
    ],
)
def test_other_places_are_refused(text, message):
    with pytest.raises(ValidationError, match=message):
        ConsistencySettings(sampler="multistep", ts=text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sampler": "multistep"}, "needs ts"),
        ({"sampler": "heun", "ts": "0,39"}, "needs ts"),
        ({"steps": 0}, "steps"),
        ({"sampler": "ddim"}, "sampler"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        ConsistencySettings(**settings)
