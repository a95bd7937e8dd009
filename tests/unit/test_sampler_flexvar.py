"""FlexVAR's sampler: any list of scales over cached keys, guidance by their number, greedy where it never trained.

tests/golden compares whole runs with the authors' code.
"""

import pytest
import torch
from pydantic import ValidationError

from genbench.errors import ConfigError, UsageError
from genbench.methods.flexvar.network import FlexVAR
from genbench.methods.flexvar.sampler import FlexVARSampler
from genbench.methods.flexvar.settings import FlexVARSettings
from genbench.methods.llamagen.quantiser import CodebookTokenizer, module
from genbench.methods.llamagen.settings import CodebookNetwork
from genbench.methods.noise import SeededNoise
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
    "num_classes": 5,
    "depth": 2,
    "embed_dim": 24,
    "num_heads": 3,
    "patch_nums": (1, 2, 4),
    "vocab_size": 32,
    "code_channels": 4,
}


def weights(network):
    with torch.device("meta"):
        made = FlexVAR(**network)
    state = random_state(made)
    state["head.weight"] *= 6  # so that codes are far from equally probable
    state["pos_1LC"] *= 10  # and places show
    return state


def sampler(network=None, codes=None, state=None, **settings):
    network = {**NETWORK, **(network or {})}
    arguments = CodebookNetwork(**{**TOKENIZER, **(codes or {})})
    with torch.device("meta"):
        made = module(arguments)
    return FlexVARSampler(
        network=network,
        settings=FlexVARSettings(**settings),
        state=weights(network) | (state or {}),
        device=CPU,
        tokenizer=CodebookTokenizer(arguments, random_state(made), CPU),
    )


def test_image_i_is_the_same_at_batch_1_and_8(flipped):
    assert flipped(sampler(cfg=2.0, top_k=20, top_p=0.9)) == 0


def test_scales_over_the_cache_give_what_all_at_once_give():
    """Training sees every scale at once behind a mask; sampling one after another, over cached keys and values."""
    network = FlexVAR(**NETWORK)
    network.load_state_dict(weights(NETWORK))
    labels, inputs = torch.tensor([1, 4]), torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(labels, inputs)
        caches = network.caches()
        parts = [network(labels, None, 0, caches)]
        parts += [network(labels, x, i, caches) for i, x in enumerate(inputs.split([4, 16], dim=1), 1)]
    assert torch.allclose(torch.cat(parts, dim=1), expected, atol=1e-5)
    assert float(expected.std()) > 0.1


def test_a_place_is_the_mean_of_the_table_over_its_cell():
    network = FlexVAR(**{**NETWORK, "patch_nums": (1, 2, 32)})
    table = torch.randn(network.pos_1LC.shape, generator=torch.Generator().manual_seed(0))
    network.load_state_dict({"pos_1LC": table}, strict=False)
    quarters = [table[0, :, y : y + 16, x : x + 16].mean((1, 2)) for y in (0, 16) for x in (0, 16)]
    assert torch.allclose(network.places(1)[0], torch.stack(quarters), atol=1e-6)
    assert torch.equal(network.places(2)[0], table[0].flatten(1).T)
    assert network.places(None).shape == (1, 1 + 4 + 1024, 24)


@pytest.mark.parametrize(("cfg", "rows"), [(0.0, 2), (1.5, 4)])
def test_each_scale_is_evaluated_once_and_doubled_only_for_guidance(cfg, rows):
    made = sampler(cfg=cfg, infer_patch_nums="1_2_3_4")
    seen = []
    made.network.blocks[0].register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape[:2])))
    made.sample(SeededNoise([0, 1]), torch.tensor([0, 1]))
    assert seen == [(rows, 1), (rows, 4), (rows, 9), (rows, 16)]
    assert made.nfe == 4


@pytest.mark.parametrize(
    ("sides", "expected"),
    [
        # By hand: cfg 3 in steps of 3 / min(scales - 1, 9).
        ("1_2_3_16", [0, 1, 2, 3]),
        ("1_2_3_4_5_6_8_10_13_16", [scale / 3 for scale in range(10)]),
        ("1_2_3_4_5_6_7_8_9_10_12_14_16", [scale / 3 for scale in range(13)]),
    ],
)
def test_guidance_rises_by_a_ninth_or_to_cfg_at_the_last_of_fewer_scales(sides, expected):
    made = sampler({"patch_nums": (1, 16)}, cfg=3.0, infer_patch_nums=sides)
    assert [made.strength(scale) for scale in range(len(expected))] == pytest.approx(expected)


def test_scales_beyond_max_pn_are_guided_by_cfg_and_greedy():
    made = sampler({"patch_nums": (1, 2, 16, 24)}, cfg=3.0, top_k=8)
    assert [made.strength(scale) for scale in range(4)] == pytest.approx([0, 1, 2, 3])
    made = sampler({"patch_nums": (1, 2, 16, 24, 32)}, cfg=4.0, top_k=8)
    assert [made.strength(scale) for scale in range(5)] == pytest.approx([0, 1, 2, 4, 4])
    assert [drawn(made, scale) for scale in range(5)] == [8, 8, 8, 1, 1]


def test_guidance_without_a_ramp_is_a_scale_of_cfg():
    made = sampler({"patch_nums": (1, 2, 16, 24)}, cfg=3.0, ramp=False)
    assert [made.strength(scale) for scale in range(4)] == [2, 2, 2, 2]
    logits = torch.tensor([[[1.0, 2.0]], [[0.5, 4.0]]])
    assert made.guided(logits, 2.0).flatten().tolist() == [0.5 + 3 * (1.0 - 0.5), 4.0 + 3 * (2.0 - 4.0)]


def drawn(made, scale):
    """How many codes may be drawn at a scale, of logits without ties."""
    return int(made.drawable(torch.randn(1, 1, 32, generator=torch.Generator().manual_seed(0)), scale).isfinite().sum())


def test_sides_that_training_had_little_of_take_the_most_probable_code():
    made = sampler(infer_patch_nums="1_2_3_4_5_6_7_8_9_10", network={"patch_nums": (1, 10)}, top_k=5)
    assert [drawn(made, scale) for scale in range(10)] == [5, 5, 5, 5, 5, 5, 1, 5, 1, 5]
    everything = sampler(infer_patch_nums="1_2_4")
    assert drawn(everything, 2) == 32


def test_a_scale_is_the_whole_image_and_the_next_sees_it_enlarged():
    made = sampler(top_k=1)
    logits = torch.full((1, 4, 32), -1.0)
    codes = torch.tensor([[3, 5, 7, 11]])
    logits.scatter_(2, codes[..., None], 1.0)
    latents = made.extended(torch.randn(1, 4, 1, 1), logits, 1, SeededNoise([0]))
    entries = torch.nn.functional.normalize(made.quantiser.embedding.weight, dim=1)[codes[0]]
    assert torch.allclose(latents[0].flatten(1).T, entries)
    flat = torch.ones(1, 4, 2, 2) * torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 4, 1, 1)
    assert torch.allclose(made.seen(flat, 2), flat[:, :, :1, :1].expand(1, 4, 4, 4))  # bicubic of a constant


def test_the_mask_of_a_training_checkpoint_is_left_out():
    """Its shape is that of the last list of scales that was trained."""
    mask = {"attn_bias_for_masking": torch.zeros(1, 1, 5, 5)}
    labels = torch.tensor([2])
    found = [sampler(state=state, cfg=0.0).sample(SeededNoise([0]), labels) for state in ({}, mask)]
    assert torch.equal(*found)


@pytest.mark.parametrize("codes", [{"codebook_size": 64}, {"code_channels": 8}], ids=["codes", "channels"])
def test_a_tokenizer_of_other_codes_is_refused(codes):
    with pytest.raises(ConfigError, match="the transformer has 32 codes of 4 channels, its tokenizer") as caught:
        sampler(codes=codes)
    assert "[variants.<name>.decoder]" in caught.value.hint


def test_scales_that_end_at_another_grid_are_refused():
    message = "infer_patch_nums 1_2_3 ends at 3, the tokenizer's grid has a side of 4"
    with pytest.raises(ConfigError, match=message) as caught:
        sampler(infer_patch_nums="1_2_3")
    assert caught.value.hint == "let infer_patch_nums end in _4"


def test_more_codes_than_there_are_and_labels_outside_the_classes_are_refused():
    with pytest.raises(ConfigError, match="top_k 33 is larger than the vocabulary of 32"):
        sampler(top_k=33)
    with pytest.raises(UsageError, match="classes 0 to 4"):
        sampler().sample(SeededNoise([0]), torch.tensor([5]))


@pytest.mark.parametrize(
    "settings",
    [
        {"top_p": 0},
        {"top_p": 1.01},
        {"top_k": -1},
        {"cfg": -1},
        {"cfg": 0.5, "ramp": False},
        {"max_pn": 0},
        {"infer_patch_nums": "1_2_"},
        {"infer_patch_nums": "1,2,4"},
        {"infer_patch_nums": "1_4_2"},
        {"infer_patch_nums": "0_4"},
        {"infer_patch_nums": "4"},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValidationError, match=next(iter(settings))):
        FlexVARSettings(**settings)
