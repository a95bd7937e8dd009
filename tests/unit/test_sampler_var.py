"""VAR's sampler: scales in turn over cached keys, ramped guidance, draws of each image's own.

tests/golden compares whole runs with the authors' code.
"""

import inspect
import re
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from genbench.cards import load_card
from genbench.errors import ConfigError, UsageError
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import make_run
from genbench.methods.var.network import VAR
from genbench.methods.var.quantiser import MultiScaleTokenizer, module
from genbench.methods.var.sampler import VARSampler
from genbench.methods.var.settings import MultiScaleNetwork, VARNetwork, VARSettings
from genbench.validate import random_state

REGISTRY = Path(__file__).parents[2] / "registry"
CPU = torch.device("cpu")
SCALES = (1, 2, 4)
TOKENIZER = {
    "widths": (8, 8),
    "groups": 4,
    "attention": (1,),
    "codebook_size": 32,
    "code_channels": 4,
    "patch_nums": SCALES,
}
NETWORK = {
    "num_classes": 5,
    "depth": 2,
    "embed_dim": 24,
    "num_heads": 3,
    "patch_nums": SCALES,
    "vocab_size": 32,
    "code_channels": 4,
}


def weights(**changes):
    """Random weights, with the buffers that the constructor makes."""
    made = VAR(**{**NETWORK, **changes})
    state = random_state(made)
    state["head.weight"] *= 6  # so that codes are far from equally probable
    return state | {k: v for k, v in made.named_buffers() if not k.endswith("zero_k_bias")}


def tokenizer(**changes):
    network = MultiScaleNetwork(**{**TOKENIZER, **changes})
    with torch.device("meta"):
        made = module(network)
    return MultiScaleTokenizer(network, random_state(made), CPU)


def sampler(network=None, codes=None, **settings):
    network = {**NETWORK, **(network or {})}
    return VARSampler(
        network=network,
        settings=VARSettings(**settings),
        state=weights(**network),
        device=CPU,
        tokenizer=tokenizer(**(codes or {})),
    )


def test_image_i_is_the_same_at_batch_1_and_8(flipped):
    assert flipped(sampler(cfg=2.0, top_k=20, top_p=0.9)) == 0


@pytest.mark.parametrize("changes", [{}, {"shared_aln": True}, {"attn_l2_norm": False}], ids=str)
def test_scales_over_the_cache_give_what_all_at_once_give(changes):
    """Training sees every scale at once behind a mask; sampling one after another, over cached keys and values."""
    network = VAR(**{**NETWORK, **changes})
    network.load_state_dict(weights(**changes))
    labels, inputs = torch.tensor([1, 4]), torch.randn(2, 20, 4, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(labels, inputs)
        caches = network.caches()
        parts = [network(labels, None, 0, caches)]
        parts += [network(labels, x, i, caches) for i, x in enumerate(inputs.split([4, 16], dim=1), 1)]
    assert torch.allclose(torch.cat(parts, dim=1), expected, atol=1e-5)
    assert float(expected.std()) > 0.1


@pytest.mark.parametrize(("cfg", "rows"), [(0.0, 2), (1.5, 4)])
def test_each_scale_is_evaluated_once_and_doubled_only_for_guidance(cfg, rows):
    made = sampler(cfg=cfg)
    seen = []
    made.network.blocks[0].register_forward_hook(lambda _, inputs, __: seen.append(tuple(inputs[0].shape[:2])))
    made.sample(SeededNoise([0, 1]), torch.tensor([0, 1]))
    assert seen == [(rows, 1), (rows, 4), (rows, 16)]
    assert made.nfe == 3


def test_guidance_rises_from_nothing_to_cfg():
    made = sampler(cfg=3.0)
    logits = torch.tensor([[[1.0, 2.0]], [[0.5, 4.0]]])
    assert torch.equal(made.guided(logits, 0.0), logits[:1])
    assert made.guided(logits, 3.0).flatten().tolist() == [4 * 1.0 - 3 * 0.5, 4 * 2.0 - 3 * 4.0]
    ramp = []
    made.guided = lambda logits, t: ramp.append(t) or logits[:1]
    made.sample(SeededNoise([0]), torch.tensor([0]))
    assert ramp == [0.0, 1.5, 3.0]


def test_mixtures_of_codes_are_between_the_codes():
    hard, soft = (sampler(cfg=1.0, more_smooth=smooth) for smooth in (False, True))
    probabilities = torch.zeros(1, 4, 32)
    entries = hard.quantiser.embedding.weight
    drawn = hard._codes(probabilities, 0.0, SeededNoise([0]))
    mixed = soft._codes(probabilities, 0.0, SeededNoise([0]))
    assert all((entries == code).all(dim=1).any() for code in drawn[0])
    assert not any((entries == code).all(dim=1).any() for code in mixed[0])
    assert bool(((mixed >= entries.min(dim=0).values) & (mixed <= entries.max(dim=0).values)).all())


@pytest.mark.parametrize(
    "codes",
    [{"codebook_size": 64}, {"code_channels": 8}, {"patch_nums": (1, 2, 3, 4)}],
    ids=["codes", "channels", "scales"],
)
def test_a_tokenizer_of_other_codes_is_refused(codes):
    with pytest.raises(ConfigError, match="the transformer has 32 codes of 4 channels on scales \\(1, 2, 4\\)"):
        sampler(codes=codes)


def test_more_codes_than_there_are_and_labels_outside_the_classes_are_refused():
    with pytest.raises(ConfigError, match="top_k 33 is larger than the vocabulary of 32"):
        sampler(top_k=33)
    with pytest.raises(UsageError, match="classes 0 to 4"):
        sampler().sample(SeededNoise([0]), torch.tensor([5]))


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"top_p": 0}, "top_p"), ({"top_p": 1.01}, "top_p"), ({"top_k": -1}, "top_k"), ({"cfg": -1}, "cfg")],
)
def test_settings_out_of_range_are_refused(settings, key):
    with pytest.raises(ValidationError, match=key):
        VARSettings(**settings)


@pytest.mark.parametrize(
    ("card", "variant", "codes"), [("var", "var-d16-256", 4096), ("llamagen", "llamagen-b-256", 16384)]
)
def test_a_run_of_more_codes_than_there_are_is_refused_before_its_weights_are_fetched(card, variant, codes):
    known = load_card(REGISTRY / f"{card}.toml")
    preset = known.variants[variant].default_preset
    assert make_run(known, variant, preset, {"top_k": codes}).settings["top_k"] == codes
    place = re.escape(f"{card}.toml: variants.{variant}.presets.{preset} with --set")
    with pytest.raises(ConfigError, match=f"{place}: top_k {codes + 1} is larger than the vocabulary of {codes} codes"):
        make_run(known, variant, preset, {"top_k": codes + 1})


@pytest.mark.parametrize("scales", [(1,), (2, 1), (1, 1, 2), (0, 4)])
def test_scales_must_grow(scales):
    with pytest.raises(ValidationError, match="increasing sides"):
        VARNetwork(**{**NETWORK, "patch_nums": scales})


def test_a_card_may_say_what_the_constructor_takes():
    taken = inspect.signature(VAR).parameters
    assert set(VARNetwork.model_fields) == set(taken)
    for name, field in VARNetwork.model_fields.items():
        default = inspect.Parameter.empty if field.is_required() else field.default
        assert taken[name].default == default, name
