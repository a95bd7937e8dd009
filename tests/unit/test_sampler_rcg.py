"""RCG's sampler: representations by DDIM, guidance that rises, which of a file's weights are sampled with.

tests/golden compares whole runs with the authors' code.
"""

import inspect
import math
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from genbench.cards import MethodCard, load_card
from genbench.errors import ConfigError, UsageError, WeightsError
from genbench.methods.loading import find_weights, load_sampler
from genbench.methods.mage.settings import MAGETokenizerNetwork
from genbench.methods.mage.tokenizer import module
from genbench.methods.noise import RecordedNoise, SeededNoise
from genbench.methods.rcg.network import RCG
from genbench.methods.rcg.rdm import RDM
from genbench.methods.rcg.sampler import RCGSampler
from genbench.methods.rcg.settings import RCGNetwork, RCGSettings, RDMNetwork
from genbench.methods.runs import make_run
from genbench.validate import random_state
from tests.unit.test_sampler_mage import CPU, NETWORK, TOKENIZER, tokenizer

RDM_NETWORK = {
    "in_channels": 6,
    "time_embed_dim": 8,
    "model_channels": 16,
    "bottleneck_channels": 12,
    "num_res_blocks": 2,
    "context_channels": 10,
}

CARD = load_card(Path(__file__).parents[2] / "registry" / "rcg.toml")
DECODER = """
id = "tiny-vqgan"
title = "A small one"
family = "mage"
network = { widths = [8, 16], groups = 4, blocks = 1, codebook_size = 32, code_channels = 4 }
"""
CHECKPOINT = {"file": "mage.pth", "entry": "model"}
TINY = {
    "summary": "a small one",
    "dataset": "none",
    "resolution": 8,
    "classes": 5,
    "quantise": "truncate",
    "default_preset": "default",
    "network": NETWORK,
    "weights": CHECKPOINT,
    "companions": {
        "rdm": {"network": {**RDM_NETWORK, "n_classes": 5}, "weights": {"file": "rdm.pth", "entry": "model"}}
    },
    "decoder": {"name": "tiny-vqgan", "weights": {**CHECKPOINT, "prefix": "vqgan."}},
    "presets": {"default": {"num_iter": 3, "rdm_steps": 4, "cfg": 2.0}},
}


def network(**rdm):
    return {**NETWORK, "rdm": {**RDM_NETWORK, **rdm}}


def weights(rdm):
    with torch.device("meta"):
        made = RCG(**network(**rdm))
    state = random_state(made)
    state["latent_prior_proj.weight"] *= 4  # so that representations show
    return state


def sampler(state=None, rdm=None, **settings):
    rdm = rdm or {}
    return RCGSampler(
        network=RCGNetwork(**network(**rdm)).model_dump(),
        settings=RCGSettings(**{"num_iter": 3, "rdm_steps": 4, **settings}),
        state=weights(rdm) if state is None else state,
        device=CPU,
        tokenizer=tokenizer(),
    )


@pytest.mark.parametrize("rdm", [{}, {"n_classes": 5}])
def test_image_i_is_the_same_at_batch_1_and_8(rdm):
    made = sampler(rdm=rdm, cfg=2.0)
    labels = torch.arange(8) % 5
    whole = made.sample(SeededNoise(range(8)), labels)
    alone = torch.cat([made.sample(SeededNoise([i]), labels[i : i + 1]) for i in range(8)])
    assert torch.allclose(alone, whole, atol=1e-5)
    assert not torch.allclose(whole[0], whole[5], atol=1e-2)  # same label, other seed
    assert made.nfe == 3


def test_a_class_moves_the_representation_where_there_are_classes_and_must_be_one():
    labels = [torch.tensor([label]) for label in (1, 4)]
    plain, told = sampler(), sampler(rdm={"n_classes": 5})
    with torch.inference_mode():
        first, second = (plain.representations(SeededNoise([1]), label) for label in labels)
        assert torch.equal(first, second)
        first, second = (told.representations(SeededNoise([1]), label) for label in labels)
        assert not torch.allclose(first, second, atol=1e-3)
    with pytest.raises(UsageError, match="classes 0 to 4"):
        told.sample(SeededNoise([0]), torch.tensor([5]))
    plain.sample(SeededNoise([0]), torch.tensor([999]))


def test_a_denoiser_that_knows_the_data_ends_at_the_first_training_step():
    """Without noise DDIM keeps x = √ᾱ·data + √(1-ᾱ)·ε: from step 751 of four to step 0, whose β is 0.0015."""
    data, start = torch.tensor([[[0.5, -1.0, 2.0, 0.0, 1.0, -0.3]], [[1.2, 0.1, -0.7, 0.4, -2.0, 0.9]]])
    made = sampler(eta=0.0)
    seen = []
    made.denoise = lambda x, t, labels: seen.append(int(t)) or data
    with torch.inference_mode():
        found = made.representations(RecordedNoise([start]), torch.tensor([0]))
    assert seen == [751, 501, 251, 1]
    trained = (1 - torch.linspace(0.0015**0.5, 0.0195**0.5, 1000, dtype=torch.float64) ** 2).cumprod(0)
    epsilon = (start - trained[751].sqrt() * data) / (1 - trained[751]).sqrt()
    assert torch.allclose(found, (math.sqrt(0.9985) * data + math.sqrt(0.0015) * epsilon).float(), atol=1e-5)


def test_noise_is_added_after_every_step_of_the_denoiser():
    made, draws = sampler(eta=1.0), [torch.zeros(1, 6) for _ in range(5)]
    noise = RecordedNoise(draws)
    with torch.inference_mode():
        made.representations(noise, torch.tensor([0]))
    assert noise.left == 0


def test_guidance_rises_with_the_iterations_by_hand():
    """cfg 6 in three iterations: weights 2, 4, 6 on conditional - null."""
    made, codes = sampler(cfg=6.0), torch.zeros(1, 16, dtype=torch.int64)
    both = torch.stack([torch.full((16, 32), 1.5), torch.full((16, 32), 1.0)])
    made.evaluate = lambda given, first: both
    found = [float(made.logits(codes, None, share)[0, 0, 0]) for share in (1 / 3, 2 / 3, 1)]
    assert found == pytest.approx([1.5 + 2 * 0.5, 1.5 + 4 * 0.5, 1.5 + 6 * 0.5])
    with torch.inference_mode():
        first = made.first(SeededNoise([0]), torch.tensor([0]))
        null = made.network.first(made.network.fake_latent)
    assert first.shape == (2, 16)
    assert torch.equal(first[1:], null)
    assert sampler(cfg=0.0).first(SeededNoise([0]), torch.tensor([0])).shape == (1, 16)


def averaged(state, factor):
    """As the authors' checkpoint: what training ended with, and beside it an average under names without points."""
    parts = {key: value for key, value in state.items() if key.startswith("rdm.model.")}
    names = {key: f"rdm.model_ema.{key.removeprefix('rdm.model.').replace('.', '')}" for key in parts}
    ended = {key: value * factor for key, value in parts.items()}
    others = {
        "rdm.betas": torch.ones(3),
        "rdm.model_ema.decay": torch.tensor(0.9),
        "rdm.pretrained_encoder.x": torch.ones(1),
    }
    return state | ended | {names[key]: value for key, value in parts.items()} | others


@pytest.mark.parametrize("rdm", [{}, {"n_classes": 5}])
def test_the_average_is_sampled_where_the_file_has_one(rdm):
    state = weights(rdm)
    embedding = {} if rdm else {"rdm.cond_stage_model.embedding.weight": torch.ones(1, 10)}  # of the one class there is
    found = sampler(state=averaged(state, factor=3.0) | embedding, rdm=rdm).network.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_an_average_that_is_not_whole_is_refused():
    state = averaged(weights({}), factor=3.0)
    del state["rdm.model_ema.diffusion_modelinput_projbias"]
    with pytest.raises(WeightsError, match=r"missing rdm\.model\.diffusion_model\.input_proj\.bias"):
        sampler(state=state)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rdm_steps": 300}, "no whole stride takes 300"),
        ({"rdm_steps": 1000}, "do not end before step 1000"),
        ({"cfg": -1}, "cfg"),
        ({"eta": 1.5}, "eta"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        RCGSettings(**settings)


def test_a_card_may_say_what_the_constructors_take():
    taken = inspect.signature(RDM).parameters
    assert set(RDMNetwork.model_fields) == set(taken)
    assert {name: field.default for name, field in RDMNetwork.model_fields.items()} == {
        name: parameter.default for name, parameter in taken.items()
    }


def test_a_card_without_the_companion_or_with_another_name_for_it_is_told():
    variant = CARD.variants["rcg-b-256"]
    for companions, message in (({}, "rdm"), ({"rdn": variant.companions["rdm"]}, "rdn")):
        changed = variant.model_copy(update={"companions": companions})
        card = CARD.model_copy(update={"variants": {"rcg-b-256": changed}})
        with pytest.raises(ConfigError, match=message):
            make_run(card, "rcg-b-256", "temp6", {})


def test_the_companions_file_and_entry_are_in_the_digest():
    variant = CARD.variants["rcg-b-256"]
    rdm = variant.companions["rdm"]
    other = rdm.model_copy(update={"weights": rdm.weights.model_copy(update={"entry": "model_ema"})})
    changed = CARD.model_copy(
        update={"variants": {"rcg-b-256": variant.model_copy(update={"companions": {"rdm": other}})}}
    )
    runs = [make_run(card, "rcg-b-256", "temp6", {}) for card in (CARD, changed)]
    digests = [run.digest("a" * 64, None, {"rdm": sha * 64}) for run in runs for sha in "bc"]
    assert len(set(digests)) == 4


def test_two_checkpoints_of_the_authors_kind_make_the_sampler(tmp_path):
    """One holds the transformer and the tokenizer, with the encoder that training asked, the other the denoiser."""
    (tmp_path / "decoders").mkdir()
    (tmp_path / "weights").mkdir()
    (tmp_path / "decoders" / "tiny-vqgan.toml").write_text(DECODER)
    state = averaged(weights({"n_classes": 5}), factor=3.0)
    with torch.device("meta"):
        made = module(MAGETokenizerNetwork(**TOKENIZER))
    vqgan = {f"vqgan.{key}": value for key, value in random_state(made).items()}
    rdm = {key.removeprefix("rdm."): value for key, value in state.items() if key.startswith("rdm.")}
    transformer = {key: value for key, value in state.items() if not key.startswith("rdm.")}
    encoder = {"pretrained_encoder.cls_token": torch.zeros(1)}
    torch.save({"model": transformer | vqgan | encoder, "epoch": 1}, tmp_path / "weights" / "mage.pth")
    torch.save({"model": rdm, "model_ema": None, "epoch": 1}, tmp_path / "weights" / "rdm.pth")

    method = {"id": "tiny", "name": "Tiny", "title": "A small one", "sampler": "rcg"}
    run = make_run(MethodCard.model_validate({"method": method, "variants": {"tiny": TINY}}), "tiny", "default", {})
    files = find_weights(run, cache=tmp_path / "cache", registry=[tmp_path])
    found = load_sampler(run, files, "cpu", registry=[tmp_path])
    expected = sampler(state=state, rdm={"n_classes": 5}, cfg=2.0)
    noise, labels = [SeededNoise([1, 2]) for _ in range(2)], torch.tensor([0, 4])
    images = found.sample(noise[0], labels)
    assert torch.equal(images, expected.tokenizer.decode(expected.sample(noise[1], labels)))
    assert images.shape == (2, 3, 8, 8)
    assert files.bytes == sum(path.stat().st_size for path in (tmp_path / "weights").iterdir())  # one file holds two
