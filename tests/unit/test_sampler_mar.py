"""MAR's sampler: the schedule of tokens, guidance that grows with them, draws of each image's own.

tests/golden compares whole runs with the authors' code.
"""

import inspect

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import UsageError
from genbench.methods.mar.network import MAR
from genbench.methods.mar.sampler import MARSampler
from genbench.methods.mar.settings import MARNetwork, MARSettings
from genbench.methods.noise import SeededNoise
from genbench.validate import random_state

NETWORK = {
    "encoder_embed_dim": 16,
    "encoder_depth": 1,
    "encoder_num_heads": 2,
    "decoder_embed_dim": 24,
    "decoder_depth": 1,
    "decoder_num_heads": 2,
    "diffloss_d": 1,
    "diffloss_w": 16,
    "img_size": 16,
    "vae_stride": 2,
    "patch_size": 2,
    "vae_embed_dim": 3,
    "class_num": 5,
    "buffer_size": 2,
}


def sampler(**settings):
    with torch.device("meta"):
        made = MAR(**NETWORK)
    return MARSampler(
        network=NETWORK,
        settings=MARSettings(**{"iterations": 4, "diffusion_steps": 3, **settings}),
        state=random_state(made),
        device=torch.device("cpu"),
    )


def test_image_i_is_the_same_at_batch_1_and_8():
    made = sampler(cfg=2.0)
    labels = torch.arange(8) % 5
    whole = made.sample(SeededNoise(range(8)), labels)
    assert (whole.shape, whole.dtype) == ((8, 3, 8, 8), torch.float32)
    size = float(whole.abs().max())
    for i in range(8):
        alone = made.sample(SeededNoise([i]), labels[i : i + 1])
        assert torch.allclose(alone, whole[i : i + 1], atol=1e-5 * size)
    assert not torch.allclose(whole[0], whole[5], atol=1e-2 * size)  # same label, other seed


@pytest.mark.parametrize(
    ("iterations", "known"),
    [
        # 16·cos(π/2·i/4) tokens are left after iteration i: 14, 11, 6; the last takes all.
        (4, [0, 2, 5, 10]),
        (1, [0]),
        # More iterations than tokens: never fewer than one at a time, until there are none.
        (64, list(range(16))),
    ],
)
def test_the_schedule_adds_more_tokens_at_a_time(iterations, known):
    made = sampler(iterations=iterations)
    seen = []
    made.network.register_forward_hook(lambda _, inputs, __: seen.append(int(inputs[1][0].sum())))
    found = made.sample(SeededNoise([0]), torch.tensor([0]))
    assert seen == known
    assert made.nfe == len(known)
    assert int((found == 0).sum()) == 0


@pytest.mark.parametrize(
    ("schedule", "scales"),
    # 1 + (cfg - 1)·(16 - left)/16, where 14, 11, 6 and, of the last iteration, 1 are left
    [("linear", [1 + 2 * n / 16 for n in (2, 5, 10, 15)]), ("constant", [3.0] * 4)],
)
def test_guidance_grows_with_the_tokens(schedule, scales):
    made = sampler(cfg=3.0, cfg_schedule=schedule)
    estimate, seen = made.estimate, []

    def watched(x, z, i, scale):
        seen.append((scale, len(x), len(z)))
        return estimate(x, z, i, scale)

    made.estimate = watched
    made.sample(SeededNoise([0]), torch.tensor([0]))
    assert seen == [(scale, 1, 2) for scale in scales for _ in range(3)]


def test_guidance_moves_away_from_the_null_class():
    made = sampler(cfg=2.0)
    x, z = torch.ones(1, 2, 12), torch.randn(2, 2, 24, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        conditional, own = made.estimate(x, z[:1], 1, 1.0)
        null, _ = made.estimate(x, z[1:], 1, 1.0)
        guided, share = made.estimate(x, z, 1, 2.0)
    assert torch.allclose(guided, 2 * conditional - null, atol=1e-5)
    assert torch.allclose(share, own, atol=1e-5)


def test_tokens_are_patches_and_back():
    made = sampler().network
    latents = torch.arange(3 * 8 * 8.0).view(1, 3, 8, 8)
    tokens = made.patchify(latents)
    assert tokens.shape == (1, 16, 12)
    assert tokens[0, 1].tolist() == latents[0, :, :2, 2:4].flatten().tolist()
    assert torch.equal(made.unpatchify(tokens), latents)


def test_labels_outside_the_classes_are_refused():
    with pytest.raises(UsageError, match="classes 0 to 4"):
        sampler().sample(SeededNoise([0]), torch.tensor([5]))


@pytest.mark.parametrize(
    ("network", "message"),
    [({"img_size": 18}, "no multiple of 4"), ({"decoder_num_heads": 5}, "decoder_num_heads 5 does not divide")],
)
def test_networks_that_cannot_be_are_refused(network, message):
    with pytest.raises(ValidationError, match=message):
        MARNetwork(**{**NETWORK, **network})


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(MAR).parameters
    assert set(MARNetwork.model_fields) == set(taken)
    for name, field in MARNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name
