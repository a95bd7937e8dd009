"""D-AR: guidance that grows by token, a class at position 0, and a tokenizer whose flow draws each image's own noise.

tests/golden compares whole runs and the tokenizer's parts with the authors' code.
"""

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from genbench.cards import load_card
from genbench.errors import ConfigError, UsageError
from genbench.methods.dar.network import DAR
from genbench.methods.dar.sampler import DARSampler
from genbench.methods.dar.settings import DARNetwork, DARSettings, DARTokenizerNetwork
from genbench.methods.dar.tokenizer import DARTokenizer, SequentialTokenizer
from genbench.methods.latents.decoder import Decoded, LatentDecoder
from genbench.methods.latents.tokenizer import bits, reconstruct
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.validate import random_state

REGISTRY = Path(__file__).parents[2] / "registry"
CPU = torch.device("cpu")
TOKENIZER = {
    "sampling_resolution": 16,
    "encoder_patch_size": 4,
    "encoder_dim": 16,
    "num_encoder_layers": 2,
    "decoder_dim": 8,
    "num_decoder_layers": 1,
    "vq_dim": 4,
    "vq_codebook_size": 32,
    "num_all_queries": 12,
    "num_denoising_steps": 3,
    "head_dim": 8,
    "diff_decoder": {"dim": 16, "depth": 1, "patch_size": 4, "data_std": 0.6, "time_shift": 2},
}
NETWORK = {
    "dim": 24,
    "n_layer": 2,
    "n_head": 4,
    "num_classes": 5,
    "block_size": 12,
    "vocab_size": 32,
    "multiple_of": 8,
}


def on_meta(build):
    with torch.device("meta"):
        return build()


def tokenizer_state(network):
    state = random_state(on_meta(lambda: SequentialTokenizer(network)))
    for key in state:
        state[key] *= 1 if "norm" in key else 5  # so that patches and tokens show
    return state


@pytest.fixture(scope="module")
def tokenizer():
    network = DARTokenizerNetwork(**TOKENIZER)
    return DARTokenizer(network, tokenizer_state(network), CPU)


@pytest.fixture(scope="module")
def weights():
    state = random_state(on_meta(lambda: DAR(**NETWORK)))
    for key in ("cls_embedding.embedding_table.weight", "tok_embeddings.weight", "output.weight"):
        state[key] *= 5
    return state


@pytest.fixture
def sampler(tokenizer, weights):
    def build(state=None, **settings):
        return DARSampler(
            network=NETWORK,
            settings=DARSettings(**settings),
            state=weights if state is None else state,
            device=CPU,
            tokenizer=tokenizer,
        )

    return build


def pictures(n):
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_image_i_is_the_same_at_batch_1_and_8(sampler, tokenizer):
    """Codes, and the noise that the flow starts from."""
    made = Decoded(sampler(cfg=1.2, cfg_end=8.0), LatentDecoder(tokenizer))
    labels = torch.arange(8) % 5
    whole = made.sample(SeededNoise(range(8)), labels)
    assert (whole.shape, whole.dtype, made.nfe) == ((8, 3, 16, 16), torch.float32, 12)
    alone = torch.cat([made.sample(SeededNoise([i]), labels[i : i + 1]) for i in range(8)])
    assert torch.allclose(alone, whole, atol=1e-4)
    assert not torch.allclose(whole[0], whole[5], atol=1e-2)  # same label, other seed
    assert made.parameters == tokenizer.parameters + sum(p.numel() for p in sampler().network.parameters())


def test_images_decoded_in_several_parts_start_from_their_own_noise(tokenizer, monkeypatch):
    monkeypatch.setattr("genbench.methods.latents.decoder.CELLS", 2 * 12)  # two images at once
    with torch.inference_mode():
        latents = tokenizer.quantiser.latents(torch.arange(5 * 12).view(5, 12) % 32, 1)
    parts = LatentDecoder(tokenizer)(latents, SeededNoise(range(5)))
    start = SeededNoise(range(5)).normal((3, 16, 16))
    assert torch.allclose(parts, tokenizer.decode_from(start, latents), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "scales"),
    [
        # The authors' list is linspace(first, last, tokens), of which the first is for the first token.
        ({"cfg": 1.5, "cfg_end": 7.0}, [1.5 + 0.5 * i for i in range(12)]),
        ({"cfg": 4.0}, [4.0] * 12),
        ({}, [1.0] * 12),
    ],
)
def test_guidance_goes_evenly_from_the_first_token_to_the_last(sampler, settings, scales):
    assert sampler(**settings).scales() == pytest.approx(scales)


def test_guidance_that_starts_at_1_is_still_guidance(sampler):
    made, rows = sampler(cfg=1.0, cfg_end=3.0), []
    made.network.layers[0].register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    made.sample(SeededNoise([0, 1]), torch.tensor([0, 1]))
    assert rows == [4] * 12


def test_the_class_is_the_first_place_on_the_line(sampler):
    """Unlike LlamaGen's it keeps its key; angles grow by the place, the first pair's by one radian."""
    cos, sin = sampler().network.rotation(CPU)
    assert (cos.shape, cos[0].tolist(), sin[0].tolist()) == ((13, 6), [1.0] * 6, [0.0] * 6)
    places = torch.arange(13.0)
    assert torch.allclose(cos[:, 0], places.cos(), atol=1e-6)
    assert torch.allclose(sin[:, 4], (places * 10000 ** (-2 / 3)).sin(), atol=1e-6)


def test_weights_that_were_saved_compiled_fit(sampler, weights):
    saved = {f"_orig_mod.{key}": value for key, value in weights.items()}
    assert torch.equal(sampler(saved).network.output.weight, weights["output.weight"])


def test_a_query_sees_every_patch_and_the_queries_before_it(tokenizer):
    """What a token is does not depend on later queries; what any token is depends on the last patch."""
    module, images = tokenizer.module, pictures(1)
    with torch.inference_mode():
        before = module.features(images)
        later = module.query_embedding.weight[11].clone()
        module.query_embedding.weight[11] += 1
        after = module.features(images)
        module.query_embedding.weight[11] = later
        images[..., -1, -1] += 1
        other = module.features(images)
    assert torch.equal(before[..., :11], after[..., :11])
    assert not torch.allclose(before[..., 11], after[..., 11], atol=1e-3)
    assert (before - other).abs().amax(dim=(0, 1, 2)).min() > 1e-5


def test_a_step_of_the_flow_sees_its_share_of_tokens_alone(tokenizer):
    """The last four codes are those of the last step, which moves the image by what that step's velocity says."""
    module = tokenizer.module
    with torch.inference_mode():
        codes = torch.arange(12)[None]
        changed = torch.where(codes < 8, codes, codes + 16)
        one, two = (module.conditions(tokenizer.quantiser.latents(c, 1)) for c in (codes, changed))
    assert one.shape == (1, 3, 4, 8)
    assert torch.equal(one[:, :2], two[:, :2])
    assert not torch.allclose(one[:, 2], two[:, 2], atol=1e-3)


def test_the_flows_steps_by_hand(tokenizer, monkeypatch):
    """A velocity of 1, 2, 3 in turn: Euler, then twice 1.5 of the newest less 0.5 of the one before, on shifted times.

    Thirds shifted by 2 are 0, 1/5, 1/2 and 1.
    """
    flow, seen = tokenizer.module.diff_decoder, []

    def velocity(x, t, tokens):
        seen.append((float(t[0]), tokens.shape))
        return torch.full_like(x, len(seen))

    monkeypatch.setattr(flow.net, "forward", velocity)
    image = flow(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 4, 8))
    assert [t for t, _ in seen] == pytest.approx([0, 1 / 5, 1 / 2])
    assert {shape for _, shape in seen} == {(1, 4, 8)}
    expected = 1 * 0.2 + (1.5 * 2 - 0.5 * 1) * 0.3 + (1.5 * 3 - 0.5 * 2) * 0.5
    assert image.flatten().tolist() == pytest.approx([expected / 0.6] * 768)


def test_a_reconstruction_draws_its_start_and_nothing_else(tokenizer):
    start = SeededNoise([4, 5]).normal((3, 16, 16))
    noise = RecordedNoise([start])
    made = reconstruct(tokenizer, pictures(2), noise)
    assert noise.left == 0
    assert (made.code.latents.shape, made.code.indices.shape) == ((2, 4, 1, 12), (2, 12))
    assert torch.equal(made.images, tokenizer.decode_from(start, made.code.latents))
    assert bits(tokenizer, made.code) == 12 * 5


def test_what_only_training_used_of_the_tokenizer_is_left_out():
    network = DARTokenizerNetwork(**TOKENIZER)
    state = tokenizer_state(network)
    training = {"quantize.codebook_used": torch.zeros(65536), "diff_decoder.net.repa_out.0.weight": torch.zeros(8, 8)}
    made = DARTokenizer(network, state | training, CPU)
    assert made.parameters == sum(value.numel() for value in state.values())


@pytest.mark.parametrize(("variant", "count"), [("d-ar-l-256", 342_910_976), ("d-ar-xl-256", 774_699_520)])
def test_a_variants_network_has_the_official_keys(variant, count):
    """Listed from the authors' class, which has LlamaGen's keys; the README's sizes are 343 and 775 million."""
    chosen = load_card(REGISTRY / "d-ar.toml").variants[variant]
    official = json.loads((REGISTRY / "manifests" / f"{chosen.manifest}.json").read_text())
    built = on_meta(lambda: DAR(**DARNetwork(**chosen.network).model_dump()))
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in built.parameters()) == count


def test_images_of_another_side_and_a_tokenizer_of_other_codes_or_tokens_are_refused(tokenizer, sampler, weights):
    with pytest.raises(UsageError, match="images of 16 x 8 px: the tokenizer takes 16 px"):
        tokenizer.encode(torch.zeros(1, 3, 16, 8))
    more = {**NETWORK, "vocab_size": 40}
    state = random_state(on_meta(lambda: DAR(**more)))
    with pytest.raises(ConfigError, match="the transformer has 40 codes, its tokenizer 32"):
        DARSampler(network=more, settings=DARSettings(), state=state, device=CPU, tokenizer=tokenizer)
    longer = {**NETWORK, "block_size": 15}
    with pytest.raises(ConfigError, match="the transformer has 15 tokens, its tokenizer 12 tokens"):
        DARSampler(network=longer, settings=DARSettings(), state=weights, device=CPU, tokenizer=tokenizer)
    with pytest.raises(ConfigError, match="top_k 33 is larger than the vocabulary of 32"):
        sampler(top_k=33)


@pytest.mark.parametrize(
    ("settings", "key"), [({"cfg_end": 0.5}, "cfg_end"), ({"cfg": 0.9}, "cfg"), ({"top_p": 0}, "top_p")]
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        DARSettings(**settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_denoising_steps": 5}, "num_denoising_steps 5 does not divide 12"),
        ({"encoder_patch_size": 3}, "encoder_patch_size 3 does not divide 16"),
        ({"diff_decoder": {"dim": 12, "depth": 1, "patch_size": 4}}, "head_dim 8 does not divide 12"),
        ({"head_dim": 2, "encoder_dim": 16}, "4 divides"),
        ({"num_all_queries": 1200}, "less than or equal to 1024"),
    ],
)
def test_tokenizers_that_cannot_be_are_refused(change, message):
    with pytest.raises(ValidationError, match=message):
        DARTokenizerNetwork(**{**TOKENIZER, **change})


def test_a_line_needs_no_square_of_tokens_but_pairs_of_channels():
    assert DARNetwork(**NETWORK).block_size == 12
    with pytest.raises(ValidationError, match="head width that 2 divides: 24/8"):
        DARNetwork(**{**NETWORK, "n_head": 8})
