"""LlamaGen's sampler: tokens in turn over cached keys, guidance up to its last token, draws of each image's own.

tests/golden compares whole runs with the authors' code.
"""

import inspect

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import ConfigError, UsageError
from genbench.methods.llamagen.network import LlamaGen
from genbench.methods.llamagen.quantiser import CodebookQuantiser, CodebookTokenizer, module
from genbench.methods.llamagen.sampler import LlamaGenSampler
from genbench.methods.llamagen.settings import CodebookNetwork, LlamaGenNetwork, LlamaGenSettings
from genbench.methods.noise import SeededNoise
from genbench.methods.transformer.rotary import Rotation
from genbench.validate import random_state

CPU = torch.device("cpu")
TOKENIZER = {
    "widths": (8, 8),
    "groups": 4,
    "attention": (1,),
    "codebook_size": 32,
    "code_channels": 4,
    "latent_channels": 8,
}
NETWORK = {
    "dim": 24,
    "n_layer": 2,
    "n_head": 3,
    "num_classes": 5,
    "block_size": 16,
    "vocab_size": 32,
    "multiple_of": 8,
}


def weights(network):
    with torch.device("meta"):
        made = LlamaGen(**network)
    state = random_state(made)
    for key in ("cls_embedding.embedding_table.weight", "tok_embeddings.weight", "output.weight"):
        state[key] *= 5  # so that classes and tokens show, and codes are far from equally probable
    return state


def sampler(network=None, codes=None, state=None, **settings):
    network = {**NETWORK, **(network or {})}
    arguments = CodebookNetwork(**{**TOKENIZER, **(codes or {})})
    with torch.device("meta"):
        made = module(arguments)
    return LlamaGenSampler(
        network=network,
        settings=LlamaGenSettings(**settings),
        state=weights(network) | (state or {}),
        device=CPU,
        tokenizer=CodebookTokenizer(arguments, random_state(made), CPU),
    )


def test_image_i_is_the_same_at_batch_1_and_8(flipped):
    assert flipped(sampler(cfg=2.0, top_k=20, top_p=0.9)) == 0


def test_tokens_over_the_cache_give_what_all_at_once_give():
    """Training sees every token at once behind a mask; sampling one after another, over cached keys and values."""
    made = sampler().network
    labels, indices = torch.tensor([1, 4]), torch.randint(32, (2, 16), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = made(labels, indices)[:, :16]
        caches, rotation = made.caches(), made.rotation(CPU)
        embedded = torch.cat([made.cls_embedding(labels)[:, None], made.tok_embeddings(indices)], dim=1)
        parts = [made.step(embedded[:, t], Rotation(*(r[t : t + 1] for r in rotation)), caches) for t in range(16)]
    assert torch.allclose(torch.stack(parts, dim=1), expected, atol=1e-5)
    assert float(expected.std()) > 0.1


def test_the_class_has_no_key_but_a_value():
    """Its query and key vanish: the same logit 0 for every token, whatever the projections say."""
    rotation = sampler().network.rotation(CPU)
    x = torch.randn(1, 3, 17, 8, generator=torch.Generator().manual_seed(1))
    turned = rotation.apply(x)
    assert torch.equal(turned[:, :, 0], torch.zeros(1, 3, 8))
    assert torch.equal(turned[:, :, 1], x[:, :, 1])  # the corner token's angles are 0
    assert torch.allclose(turned[:, :, 1:].norm(dim=-1), x[:, :, 1:].norm(dim=-1), atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, [2] * 16),
        ({"cfg": 3.0}, [4] * 16),
        ({"cfg": 3.0, "cfg_interval": 0}, [4, 4] + [2] * 14),
        ({"cfg": 3.0, "cfg_interval": 3}, [4] * 5 + [2] * 11),
    ],
)
def test_the_null_half_is_evaluated_only_where_it_guides(settings, rows):
    made = sampler(**settings)
    seen = []
    made.network.layers[0].register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape[:2])))
    made.sample(SeededNoise([0, 1]), torch.tensor([0, 1]))
    assert seen == [(n, 1) for n in rows]
    assert made.nfe == 16


def test_after_its_last_token_guidance_leaves_the_conditional_logits():
    """Tokens that are drawn before the end of guidance are those of guidance everywhere."""
    labels = torch.tensor([0, 3])
    with torch.inference_mode():
        plain, everywhere, some = (
            sampler(**settings, greedy=True).indices(SeededNoise([0, 1]), labels)
            for settings in ({}, {"cfg": 4.0}, {"cfg": 4.0, "cfg_interval": 5})
        )
    assert torch.equal(some[:, :7], everywhere[:, :7])
    assert not torch.equal(some, everywhere)
    assert not torch.equal(plain, everywhere)


def test_temperature_and_filters_by_hand():
    made = sampler(temperature=0.5, top_k=2)
    found = made.probabilities(torch.tensor([[0.0, 1.0, 2.0]]))
    assert found.tolist() == [[0.0, *torch.tensor([2.0, 4.0]).softmax(0).tolist()]]


def test_entries_are_of_length_one_where_the_card_says_so():
    made = CodebookQuantiser(codebook_size=2, channels=2, unit=True)
    made.embedding.weight.data = torch.tensor([[9.0, 9.0], [0.0, 0.1]])
    feature = torch.tensor([1.0, 1.1]).view(1, 2, 1, 1)
    code = made(feature)
    assert code.indices.tolist() == [[0]]
    assert code.latents.flatten().tolist() == pytest.approx([0.5**0.5] * 2)
    made.unit = False
    assert made(feature).indices.tolist() == [[1]]


def test_a_stale_table_of_rotations_is_left_out():
    assert sampler(state={"freqs_cis": torch.zeros(17, 4, 2)}).network.block_size == 16


def test_a_tokenizer_of_other_codes_and_more_codes_than_there_are_are_refused():
    with pytest.raises(ConfigError, match="the transformer has 32 codes, its tokenizer 64"):
        sampler(codes={"codebook_size": 64})
    with pytest.raises(ConfigError, match="top_k 33 is larger than the vocabulary of 32"):
        sampler(top_k=33)
    with pytest.raises(UsageError, match="classes 0 to 4"):
        sampler().sample(SeededNoise([0]), torch.tensor([5]))


@pytest.mark.parametrize(
    ("settings", "key"), [({"top_p": 0}, "top_p"), ({"cfg": 0.5}, "cfg"), ({"temperature": 0}, "temperature")]
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        LlamaGenSettings(**settings)


@pytest.mark.parametrize(
    ("network", "message"),
    [({"block_size": 15}, "not a square"), ({"n_head": 5}, "does not divide"), ({"n_head": 4}, "4 divides")],
)
def test_networks_that_cannot_be_are_refused(network, message):
    with pytest.raises(ValidationError, match=message):
        LlamaGenNetwork(**{**NETWORK, **network})


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(LlamaGen).parameters
    assert set(LlamaGenNetwork.model_fields) == set(taken)
    for name, field in LlamaGenNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name
