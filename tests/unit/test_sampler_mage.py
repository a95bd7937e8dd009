"""MAGE's sampler: which codes are settled, what they are drawn by, draws of each image's own.

tests/golden compares whole runs with the authors' code.
"""

import inspect

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import ConfigError, UsageError
from genbench.methods.mage.network import FIRST, MAGE
from genbench.methods.mage.sampler import MAGESampler
from genbench.methods.mage.settings import MAGENetwork, MAGESettings, MAGETokenizerNetwork
from genbench.methods.mage.tokenizer import MAGETokenizer, module
from genbench.methods.masking import masked_after
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.validate import random_state

CPU = torch.device("cpu")
TOKENIZER = {"widths": (8, 16), "groups": 4, "blocks": 1, "codebook_size": 32, "code_channels": 4}
NETWORK = {
    "embed_dim": 16,
    "depth": 1,
    "num_heads": 2,
    "decoder_embed_dim": 24,
    "decoder_depth": 1,
    "decoder_num_heads": 2,
    "img_size": 8,
    "patch_size": 2,
    "codebook_size": 32,
}
T = 16


def tokenizer(**changes):
    arguments = MAGETokenizerNetwork(**{**TOKENIZER, **changes})
    with torch.device("meta"):
        made = module(arguments)
    return MAGETokenizer(arguments, random_state(made), CPU)


def sampler(network=None, codes=None, more=None, **settings):
    network = {**NETWORK, **(network or {})}
    with torch.device("meta"):
        made = MAGE(**network)
    state = random_state(made)
    state["token_emb.word_embeddings.weight"] *= 4  # so that codes are far from equally probable
    return MAGESampler(
        network=network,
        settings=MAGESettings(**{"num_iter": 5, **settings}),
        state=state | (more or {}),
        device=CPU,
        tokenizer=tokenizer(**(codes or {})),
    )


def test_image_i_is_the_same_at_batch_1_and_8_whatever_its_label():
    made = sampler()
    whole = made.sample(SeededNoise(range(8)), torch.zeros(8, dtype=torch.int64))
    assert (whole.shape, whole.dtype) == ((8, 4, 4, 4), torch.float32)
    alone = torch.cat([made.sample(SeededNoise([i]), torch.tensor([900 + i])) for i in range(8)])
    assert torch.allclose(alone, whole, atol=1e-5)
    assert not torch.allclose(whole[0], whole[5], atol=1e-2)
    assert made.nfe == 5


@pytest.mark.parametrize("iterations", [1, 5, 20])
def test_codes_are_settled_by_the_schedule_and_stay(iterations):
    made, seen = sampler(num_iter=iterations), []
    made.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    with torch.inference_mode():
        found = made.indices(SeededNoise([3, 4]), torch.tensor([0, 0]))
    left = [T]
    for iteration in range(iterations - 1):
        left.append(masked_after(iteration, iterations, left[-1], T))
    assert [(codes == made.network.mask).sum(1).tolist() for codes in seen] == [[n, n] for n in left]
    for before, after in zip(seen, [*seen[1:], found], strict=True):
        settled = before != made.network.mask
        assert torch.equal(after[settled], before[settled])
    assert int(found.max()) < 32  # words of classes and the mask are never drawn


def test_the_least_probable_of_the_drawn_codes_stay_masked_but_for_gumbel_noise():
    """Two iterations: after the first, floor(16·cos(45°)) = 11 codes stay masked."""
    drawn, uniform = torch.arange(T)[None], torch.full((1, T), 0.5)
    uniform[0, [2, 9]] = torch.tensor([1e-7, 1 - 1e-7])  # Gumbel noise of +16.1 and of -2.8
    # The code of place i has probability falling with i.
    logits = torch.zeros(1, T, 32)
    logits[0, torch.arange(T), torch.arange(T)] = torch.linspace(3.0, -3.0, T)

    def kept(temp, draws):
        made, seen = sampler(num_iter=2, temp=temp), []
        made.evaluate = lambda codes, first: seen.append(codes) or logits
        with torch.inference_mode():
            made.indices(RecordedNoise(draws), torch.zeros(1, dtype=torch.int64))
        return (seen[1][0] != made.network.mask).nonzero()[:, 0].tolist()

    assert kept(0.0, [drawn, drawn]) == [0, 1, 2, 3, 4]
    assert kept(20.0, [drawn, uniform, drawn]) == [0, 1, 2, 3, 4]
    assert kept(20.0, [drawn, 1 - uniform, drawn]) == [0, 1, 3, 4, 9]


def test_the_first_word_is_one_of_a_class_and_another_embedding_takes_its_place():
    network, codes = sampler().network, torch.full((1, T), 1032)
    first = torch.randn(1, 16, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain, told = network(codes), network(codes, first)
        network.token_emb.word_embeddings.weight[32 + FIRST] *= -1
        assert not torch.allclose(network(codes), plain, atol=1e-3)
        assert torch.equal(network(codes, first), told)
    assert not torch.allclose(plain, told, atol=1e-3)


def test_what_only_training_uses_is_left_out():
    kinds = ["patch_embed.proj.bias", "pos_embed", "decoder_pos_embed", "decoder_pred.bias", "vqgan.encoder.x"]
    sampler(more={key: torch.zeros(1) for key in [*kinds, "cls_token", "mask_token", "token_emb.position_ids"]})


def test_a_tokenizer_of_other_codes_is_refused():
    with pytest.raises(ConfigError, match="the transformer has 32 codes, its tokenizer 64"):
        sampler(codes={"codebook_size": 64})


@pytest.mark.parametrize(("settings", "key"), [({"num_iter": 0}, "num_iter"), ({"temp": -1}, "temp")])
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        MAGESettings(**settings)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"patch_size": 3}, "patch_size 3 does not divide img_size 8"),
        ({"num_heads": 3}, "num_heads 3 does not divide embed_dim 16"),
        ({"decoder_num_heads": 5}, "decoder_num_heads 5 does not divide decoder_embed_dim 24"),
    ],
)
def test_networks_that_cannot_be_are_refused(network, message):
    with pytest.raises(ValidationError, match=message):
        MAGENetwork(**{**NETWORK, **network})


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(MAGE).parameters
    assert set(MAGENetwork.model_fields) == set(taken)
    for name, field in MAGENetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name


def test_the_tokenizers_networks_see_and_give_images_from_0_to_1():
    made = tokenizer()
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.inference_mode():
        code = made.encode(images)
        assert torch.equal(made.module.features(images), made.module.encoder((images + 1) / 2))
        assert torch.equal(made.decode(code.latents), 2 * made.module.decoder(code.latents) - 1)
    assert (code.latents.shape, code.indices.shape) == ((2, 4, 4, 4), (2, T))
    assert torch.equal(made.quantiser.latents(code.indices), code.latents)


def test_images_of_another_side_and_widths_without_whole_groups_are_refused():
    with pytest.raises(UsageError, match="multiples of 2 px"):
        tokenizer().encode(torch.zeros(1, 3, 7, 7))
    with pytest.raises(ValidationError, match="groups 4 do not divide"):
        MAGETokenizerNetwork(**{**TOKENIZER, "widths": (8, 10)})
