"""Training of the embedded models: every batch once an epoch, and the same weights however often it was interrupted."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import zoo.configuration
import zoo.export
import zoo.measure
import zoo.trainer
import zoo.variants
from genbench.cards import Variant, load_card, load_decoder
from genbench.digest import digest_file
from genbench.errors import ConfigError, RunFailedError, UsageError
from genbench.evaluation import Extraction
from genbench.features import spaces
from genbench.images import emoji32
from genbench.methods.initialisation import initialise
from genbench.methods.loading import WeightsOnDisk, find_weights, load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import make_run
from genbench.paths import cache_folder
from genbench.records import read_record
from genbench.runner import Settings
from genbench.schema import check
from zoo import train
from zoo.alignment import Alignment, AlignmentLoss
from zoo.configuration import HERE, REGISTRY, Model, Tokenizer, build_network, check_against_card, load
from zoo.data import Data, batch_indices, codes, encoder_tokens, training_data
from zoo.objectives import Codes
from zoo.trainer import Trainer, learning_rate, snapshot

SETTINGS = {
    "card": "repa",
    "summary": "A miniature.",
    "presets": {"ode2": {"mode": "ode", "steps": 2}, "ode3": {"mode": "ode", "steps": 3, "cfg": 2.0}},
    "default_preset": "ode3",
    "curve": "ode2",
    "network": {
        "input_size": 8,
        "patch_size": 4,
        "in_channels": 3,
        "hidden_size": 16,
        "depth": 2,
        "num_heads": 2,
        "num_classes": 3,
        "learn_sigma": False,
    },
    "objective": {"kind": "velocity", "noise_time": 1},
    "alignment": {"block": 1, "projector": {"kind": "mlp", "width": 8}, "until": 0.5},
    "optimiser": {
        "learning_rate": 1e-2,
        "warmup_steps": 3,
        "schedule": "cosine",
        "weight_decay": 0.0,
        "ema_decay": 0.9,
        "label_dropout": 0.3,
        "autocast": "bfloat16",
    },
    "budget": {"seed": 4, "batch": 6, "steps": 12, "checkpoint_every": 5, "log_every": 4, "snapshots": [0.5, 1.0]},
}
NAMES = sorted(path.stem for path in HERE.glob("*.toml"))


def configuration(**changes):
    return check(Model, {**SETTINGS, **changes}, "test")


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(20, 3, 8, 8, generator=generator) * 2 - 1
    return Data(images, torch.arange(20) % 3, torch.randn(20, 4, 5, generator=generator).half())


def trainer(data, folder, made=None):
    made = made or configuration()
    torch.manual_seed(1)
    network = build_network(made)
    initialise(network)
    alignment = AlignmentLoss(made.alignment, network, hidden=16, target=5) if made.alignment else None
    return Trainer(made, network, data, folder, alignment)


class KilledError(Exception):
    """The process ends here."""


def run_until(made, step):
    """Train, and be killed before the step after `step`."""
    update = made._update

    def guarded():
        if made.step == step:
            raise KilledError
        return update()

    made._update = guarded
    with pytest.raises(KilledError):
        made.run()


def files(folder):
    return {path.stem[-6:]: path.read_bytes() for path in sorted(folder.glob("weights/*"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data):
    """A training that nothing interrupted."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("whole")
    made = trainer(data, folder)
    made.run()
    return made, files(folder)


@pytest.mark.parametrize("kills", [[1], [4], [5], [7], [11], [3, 6, 6, 10]])
def test_a_training_that_was_interrupted_ends_in_the_same_bits(tmp_path, data, whole, kills):
    """Killed before, at and after a checkpoint (steps 5 and 10) and the end of the alignment (6), and twice there."""
    for step in kills:
        run_until(trainer(data, tmp_path), step)
    resumed = trainer(data, tmp_path)
    resumed.run()
    expected, snapshots = whole
    assert files(tmp_path) == snapshots
    assert list(snapshots) == ["000006", "000012"]
    for key, value in expected._trained.state_dict().items():
        assert torch.equal(resumed._trained.state_dict()[key], value), key
    for key, value in expected.ema.items():
        assert torch.equal(resumed.ema[key], value), key


def test_a_finished_training_does_nothing_more(tmp_path, data, whole):
    trainer(data, tmp_path).run()
    before = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    again = trainer(data, tmp_path)
    again._update = pytest.fail
    again.run()
    assert again.finished
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == before
    assert files(tmp_path) == whole[1]


def test_weights_move_and_the_average_follows(whole, data, tmp_path):
    made, _ = whole
    start = trainer(data, tmp_path)
    assert torch.equal(made.ema["pos_embed"], start.network.pos_embed)
    moved = made.network.final_layer.linear.weight.detach()
    average = made.ema["final_layer.linear.weight"]
    assert moved.any()
    assert average.any()
    assert not torch.equal(moved, average)


def test_the_alignment_moves_weights_until_it_stops(tmp_path, data):
    """Two trainings that differ in when the term stops are one until then; the projector rests afterwards."""

    def weights(until, steps):
        settings = {**SETTINGS["alignment"], "until": until}
        made = trainer(data, tmp_path / f"{until}", configuration(alignment=settings))
        for _ in range(steps):
            made._update()
        return made

    early, late = weights(0.25, 3), weights(0.5, 3)
    assert torch.equal(early.network.x_embedder.proj.weight, late.network.x_embedder.proj.weight)
    projector = {key: value.clone() for key, value in early.alignment.state_dict().items()}
    for made in (early, late):
        made._update()
        made._update()
    assert not torch.equal(early.network.x_embedder.proj.weight, late.network.x_embedder.proj.weight)
    for key, value in early.alignment.state_dict().items():
        assert torch.equal(value, projector[key]), key


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path, data):
    """The checkpoint before it stays; no snapshot of broken weights is written."""
    broken = data._replace(images=data.images.clone())
    run_until(trainer(broken, tmp_path), 5)
    broken.images[:] = math.nan
    with pytest.raises(RunFailedError, match="the loss of step 5 is nan"):
        trainer(broken, tmp_path).run()
    assert trainer(data, tmp_path).step == 5
    assert files(tmp_path) == {}


def test_another_configuration_does_not_continue_a_checkpoint(tmp_path, data):
    run_until(trainer(data, tmp_path), 6)
    other = configuration(optimiser={**SETTINGS["optimiser"], "learning_rate": 2e-2})
    with pytest.raises(ConfigError, match="made with another configuration"):
        trainer(data, tmp_path, other)
    assert trainer(data, tmp_path).step == 5


def test_an_alignment_without_tokens_is_refused(tmp_path, data):
    with pytest.raises(ConfigError, match="an alignment needs an encoder's tokens"):
        trainer(data._replace(targets=None), tmp_path).run()


def test_the_log_has_mean_losses(tmp_path, data, capsys):
    trainer(data, tmp_path).run()
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [4, 8, 12]
    assert all(math.isfinite(entry["loss"]) for entry in log)
    assert "loss" in capsys.readouterr().err


def test_every_step_draws_afresh_and_labels_are_dropped_for_guidance(tmp_path, data):
    made = trainer(data, tmp_path, configuration(alignment=None))
    seen = []

    def spy(network, batch, generator):
        seen.append((float(torch.rand((), generator=generator)), batch.labels.tolist(), batch.progress))
        return network(batch.images, torch.zeros(len(batch.images)), batch.labels).square().mean()

    made.configuration = made.configuration.model_copy(update={"objective": spy})
    for _ in range(12):
        made._update()
    assert len({draw for draw, _, _ in seen}) == 12
    assert [progress for _, _, progress in seen] == [step / 12 for step in range(12)]
    labels = [label for _, step, _ in seen for label in step]
    assert set(labels) == {0, 1, 2, 3}
    assert 0.1 < labels.count(3) / len(labels) < 0.5, "0.3 of 72 labels are dropped, within 3.7 standard errors"


@given(st.integers(0, 99), st.integers(1, 40), st.integers(1, 90))
def test_every_epoch_has_every_image_once(seed, size, batch):
    epochs = 4
    steps = -(-epochs * size // batch)
    sequence = np.concatenate([batch_indices(seed, step, batch, size) for step in range(steps)])
    assert len(sequence) == steps * batch
    for epoch in range(epochs):
        assert sorted(sequence[epoch * size : (epoch + 1) * size]) == list(range(size))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [tuple(batch_indices(seed, epoch, 50, 50)) for seed in range(2) for epoch in range(3)]
    assert len(set(orders)) == 6


# By the formula: linear to the peak, then half a cosine, whose middle is half the peak.
@pytest.mark.parametrize(("step", "expected"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (55, 0.5), (100, 0.0)])
def test_learning_rate(step, expected):
    base = {"learning_rate": 1.0, "warmup_steps": 10}
    cosine = configuration(optimiser={**SETTINGS["optimiser"], **base}).optimiser
    assert learning_rate(step, 100, cosine) == pytest.approx(expected, abs=1e-12)
    constant = cosine.model_copy(update={"schedule": "constant"})
    assert learning_rate(step, 100, constant) == min((step + 1) / 10, 1.0)


def test_training_data_is_the_train_split_in_the_range_of_the_sampler():
    found = training_data()
    assert (found.images.shape, found.images.dtype) == ((3404, 3, 32, 32), torch.float32)
    assert (float(found.images.min()), float(found.images.max())) == (-1, 1)
    assert found.labels.shape == (3404,)


def test_tokens_are_those_of_the_feature_space_and_are_computed_once(tmp_path):
    images = emoji32.load("train").images[:3]
    tokens = encoder_tokens(images, tmp_path, 7)
    space = spaces.get("effnet-lite0/tokens")
    extract = Extraction([space], device="cpu", cache=cache_folder(None))
    expected = extract(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous())[space.name]
    assert tokens.shape == (3, 49, 112)
    first_cell = expected.view(3, 14, 14, 112)[:, :2, :2].mean((1, 2))
    assert torch.allclose(tokens[:, 0].float(), first_cell, rtol=1e-3, atol=1e-3)
    (kept,) = tmp_path.iterdir()
    written = kept.stat().st_mtime_ns
    assert torch.equal(encoder_tokens(images, tmp_path, 7), tokens)
    assert kept.stat().st_mtime_ns == written
    assert torch.equal(encoder_tokens(images[:2], tmp_path, 7), tokens[:2]), "of other images, in a file of their own"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_builds_a_network_of_the_zoos_size(name):
    """No more than 5 MB of float16, and the classes of emoji32."""
    made = load(name)
    assert 5e5 < sum(p.numel() for p in build_network(made).parameters()) < 2.5e6
    if isinstance(made, Model):
        assert made.network.get("num_classes", made.network.get("label_dim")) == 9


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("var")])
def test_every_models_presets_sample_its_images(name, tmp_path):
    """The variant that its card will have, with weights as training starts from them; the unguided preset draws one."""
    made = load(name)
    card = load_card(REGISTRY / f"{made.card}.toml")
    variant = check(Variant, zoo.variants.final_variant(name, made, "0" * 64), name)
    with_it = card.model_copy(update={"variants": {name: variant}})
    runs = {preset: make_run(with_it, name, preset, {}) for preset in made.presets}
    assert {made.default_preset, made.curve} <= runs.keys()
    network = build_network(made)
    initialise(network)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    sampler = load_sampler(runs[made.curve], WeightsOnDisk(tmp_path / "weights.safetensors", "0" * 64), "cpu")
    images = sampler.sample(SeededNoise([3]), torch.tensor([8]))
    assert images.shape == (1, 3, 32, 32)
    assert bool(images.isfinite().all())


def test_budgets_are_equal_where_training_is_compared():
    """SiT and what is compared with it: equal images, rates and sizes."""
    compared = [
        load(f"{name}-emoji32") for name in ("sit-small", "repa", "irepa", "haste", "ddt", "lightningdit", "jit")
    ]
    assert len({(made.budget, made.optimiser) for made in compared}) == 1
    assert compared[0].budget.batch * compared[0].budget.steps == 144_000
    sizes = [sum(p.numel() for p in build_network(made).parameters()) for made in compared]
    assert max(sizes) < 1.05 * min(sizes)


def test_an_unknown_name_is_told_with_the_nearest(capsys):
    with pytest.raises(UsageError, match="no zoo configuration named 'sit-emoji23'"):
        load("sit-emoji23")
    assert train.main(["dit-emoji32", "sit-emoji23"]) == 2
    assert "hint: did you mean sit-emoji32" in capsys.readouterr().err


def test_a_configuration_that_is_not_valid_is_told_by_file_and_key(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo.configuration, "HERE", tmp_path)
    (tmp_path / ".#mine.toml").symlink_to("absent")
    (tmp_path / "mine.toml").write_text("[network")
    with pytest.raises(ConfigError, match=r"mine\.toml: not valid TOML"):
        load("mine")
    tokenizer = (HERE / "var-vqvae-emoji32.toml").read_text()
    (tmp_path / "mine.toml").write_text(tokenizer.replace('decoder_family = "var"', 'decoder_family = "vra"'))
    with pytest.raises(ConfigError, match=r"mine\.toml: decoder_family: should be 'autoencoder-kl', .*, not 'vra'"):
        load("mine")
    with pytest.raises(UsageError, match="no zoo configuration named 'yours'") as caught:
        load("yours")
    assert caught.value.hint == "known: mine"


def test_a_network_that_differs_from_its_card_is_an_error():
    card = load_card(REGISTRY / "sit.toml")
    made = load("sit-emoji32")
    check_against_card("sit-emoji32", made, card)
    spelt_out = made.model_copy(update={"network": {**made.network, "qk_norm": False}})
    check_against_card("sit-emoji32", spelt_out, card)
    deeper = made.model_copy(update={"network": {**made.network, "depth": 6}})
    with pytest.raises(ConfigError, match=r"zoo/sit-emoji32.toml: network.depth is 6, the card's is 5") as caught:
        check_against_card("sit-emoji32", deeper, card)
    assert caught.value.hint == "make [network] the same as [variants.sit-emoji32.network] of registry/sit.toml"
    check_against_card("not-exported-yet", deeper, card)


def test_arguments_that_the_family_does_not_take_are_refused():
    with pytest.raises(ConfigError, match="unknown key 'with'"):
        build_network(configuration(network={**SETTINGS["network"], "with": 3}))


def test_alignment_settings_name_their_projector():
    with pytest.raises(ConfigError, match="projector"):
        check(Alignment, {"block": 1, "projector": {"kind": "linear"}}, "test")


def test_configurations_say_how_they_are_trained():
    for name in NAMES:
        assert Path(HERE / f"{name}.toml").read_text().startswith(f"# uv run python -m zoo.train {name}\n")


MINIATURE = {
    **SETTINGS,
    "card": "sit",
    "network": {**SETTINGS["network"], "input_size": 32, "patch_size": 16, "num_classes": 9},
    "objective": {"kind": "velocity"},
    "alignment": None,
}


@pytest.fixture
def zoo_elsewhere(tmp_path, monkeypatch):
    """The registry's folder, with the card of SiT; runs lie beside it."""
    registry = tmp_path / "registry"
    registry.mkdir()
    shutil.copy(REGISTRY / "sit.toml", registry)
    for module in (zoo.configuration, zoo.variants):
        monkeypatch.setattr(module, "REGISTRY", registry)
    for module in (zoo.measure, zoo.trainer):
        monkeypatch.setattr(module, "RUNS", tmp_path / "runs")
    return registry


def trained_miniature(folder, steps):
    """EMA weights as `steps` would have left them."""
    made = check(Model, {**MINIATURE, "presets": {"ode2": {"mode": "ode", "steps": 2}}}, "test")
    made = made.model_copy(update={"default_preset": "ode2"})
    torch.manual_seed(0)
    network = build_network(made)
    initialise(network)
    for step in steps:
        (folder / "runs" / "mini" / "weights").mkdir(parents=True, exist_ok=True)
        nn.init.normal_(network.final_layer.linear.weight, std=0.1 / step)
        save_file(network.state_dict(), snapshot(folder / "runs" / "mini", step))
    return made


def test_an_exported_model_is_a_variant_of_its_card(zoo_elsewhere, tmp_path):
    made = trained_miniature(tmp_path, [6, 12])
    exported = zoo.export.export("mini", made)
    card = load_card(zoo_elsewhere / "sit.toml")
    variant = card.variants["mini"]
    assert list(card.variants)[:-1] == list(load_card(REGISTRY / "sit.toml").variants), "the others stay"
    assert variant.network == made.network
    assert variant.weights.sha256 == digest_file(zoo_elsewhere / "weights" / "mini.safetensors") == exported.sha256
    assert (variant.checkpoint.training, variant.checkpoint.epochs) == ("mini", pytest.approx(12 * 6 / 3404, abs=5e-4))
    assert {value.dtype for value in load_file(exported.path).values()} == {torch.float16}
    check_against_card("mini", made, card)
    before = (zoo_elsewhere / "sit.toml").read_text()
    zoo.export.export("mini", made)
    assert (zoo_elsewhere / "sit.toml").read_text() == before, "the same weights are there already"
    trained_miniature(tmp_path, [6])
    shutil.copy(snapshot(tmp_path / "runs" / "mini", 6), snapshot(tmp_path / "runs" / "mini", 12))
    with pytest.raises(ConfigError, match=r"variants.mini.weights are not those that were exported"):
        zoo.export.export("mini", made)


def test_a_training_that_has_not_ended_is_not_exported(zoo_elsewhere, tmp_path):
    made = trained_miniature(tmp_path, [6])
    with pytest.raises(UsageError, match=r"mini-000012.safetensors: no such file") as caught:
        zoo.export.export("mini", made)
    assert caught.value.hint == "uv run python -m zoo.train mini"


def test_snapshots_become_records_and_a_training_curve(zoo_elsewhere, tmp_path):
    """Two snapshots, eight images each: two points at their epochs in the store's view; nothing is measured twice."""
    made = trained_miniature(tmp_path, [6, 12])
    settings = Settings(results=tmp_path / "results", cache=cache_folder(None), registry=[REGISTRY], limit=8)
    zoo.measure.measure("mini", made, settings)
    files = sorted((tmp_path / "results").rglob("*.json"))
    assert [path.parent.name for path in files] == ["mini-000006@ode2", "mini-000012@ode2"]
    values = [read_record(path).measurements for path in files]
    assert [measured.metric for measured in values[0]] == ["fd@inception-tf", "fd@effnet-lite0"]
    assert values[0] != values[1]
    zoo.measure.measure("mini", made, settings)
    assert sorted((tmp_path / "results").rglob("*.json")) == files
    card = load_card(zoo_elsewhere / "mini-training.toml")
    assert [v.checkpoint.epochs for v in card.variants.values()] == [round(step * 6 / 3404, 3) for step in (6, 12)]
    assert [v.weights.sha256 for v in card.variants.values()] == [
        digest_file(snapshot(tmp_path / "runs" / "mini", step)) for step in (6, 12)
    ]


def test_a_training_without_snapshots_has_no_curve(zoo_elsewhere, tmp_path):
    with pytest.raises(UsageError, match="holds no snapshot"):
        zoo.measure.snapshots("none", configuration())


def test_the_average_is_of_what_is_trained_and_buffers_stay(tmp_path):
    """VAR's mask holds infinities and its levels whole numbers; twelve codes of three channels on scales 1 and 2."""
    network = {"num_classes": 3, "depth": 1, "embed_dim": 16, "num_heads": 2, "patch_nums": [1, 2], "code_channels": 3}
    made = configuration(
        card="var", network={**network, "vocab_size": 12}, objective={"kind": "next-scale"}, alignment=None
    )
    codes = Codes(torch.randint(12, (20, 5)), torch.randn(20, 4, 3))
    learner = trainer(Data(torch.zeros(20, 3, 8, 8), torch.arange(20) % 3, codes=codes), tmp_path, made)
    start = {key: value.clone() for key, value in learner.ema.items()}
    learner.run()
    for key, value in learner.network.named_buffers():
        assert torch.equal(learner.ema[key], value), key
    assert not torch.equal(learner.ema["head.weight"], start["head.weight"])
    assert all(bool(value.isfinite().all()) for key, value in learner.ema.items() if "mask" not in key)
    again = trainer(learner.data, tmp_path, made)
    assert torch.equal(again.ema["head.weight"], learner.ema["head.weight"])


def test_a_tokenizer_has_no_curve():
    with pytest.raises(UsageError, match="var-vqvae-emoji32 is a tokenizer"):
        zoo.measure.measure("var-vqvae-emoji32", load("var-vqvae-emoji32"), zoo.measure.default_settings())


def test_a_model_that_starts_from_another_waits_for_its_weights(zoo_elsewhere):
    for card in ("edm", "ect"):
        shutil.copy(REGISTRY / f"{card}.toml", zoo_elsewhere)
    made = load("ect-emoji32")
    with pytest.raises(UsageError, match=r"edm-emoji32-003000.safetensors: no such file") as caught:
        train.make_trainer("ect-emoji32", made)
    assert caught.value.hint == "uv run python -m zoo.train edm-emoji32"


def test_a_tokenizer_and_what_learned_its_codes_are_exported_and_sample_together(zoo_elsewhere, tmp_path):
    """Random weights: what is exported is found by name, fits, and makes images of the tokenizer's size."""
    shutil.copy(REGISTRY / "var.toml", zoo_elsewhere)
    sides = [1, 2, 4]
    tokenizer = check(
        Tokenizer,
        {
            **{key: SETTINGS[key] for key in ("optimiser", "budget")},
            "decoder_family": "var",
            "title": "A miniature.",
            "network": {"widths": [8, 8, 8, 8], "blocks": 1, "groups": 4}
            | {"codebook_size": 20, "code_channels": 4, "patch_nums": sides},
            "objective": {"kind": "multi-scale-quantisation", "restart_every": 2, "restart_until": 0.5},
        },
        "test",
    )
    model = configuration(
        card="var",
        decoder="mini-vq",
        network={"num_classes": 9, "depth": 1, "embed_dim": 16, "num_heads": 2, "patch_nums": sides}
        | {"vocab_size": 20, "code_channels": 4},
        presets={"unguided": {"cfg": 0.0}},
        curve="unguided",
        default_preset="unguided",
        objective={"kind": "next-scale"},
        alignment=None,
    )
    for name, made in (("mini-vq", tokenizer), ("mini-var", model)):
        torch.manual_seed(0)
        (tmp_path / "runs" / name / "weights").mkdir(parents=True)
        save_file(build_network(made).state_dict(), snapshot(tmp_path / "runs" / name, 12))
        zoo.export.export(name, made)
    assert load_decoder("mini-vq", [zoo_elsewhere]).network == tokenizer.network
    run = make_run(load_card(zoo_elsewhere / "var.toml"), "mini-var", "unguided", {})
    weights = find_weights(run, cache=tmp_path / "cache", registry=[zoo_elsewhere])
    images = load_sampler(run, weights, "cpu").sample(SeededNoise([0, 1]), torch.tensor([0, 8]))
    assert images.shape == (2, 3, 32, 32)
    assert weights.decoder.weights.sha256 == digest_file(zoo_elsewhere / "weights" / "mini-vq.safetensors")


def test_codes_of_training_images_are_what_the_tokenizer_says():
    """In any split into blocks: the indices of the tokenizer itself, and its inputs of them."""
    autoencoder = build_network(load("var-vqvae-emoji32")).eval()
    images = training_data().images[:5]
    found = codes(autoencoder, images)
    with torch.inference_mode():
        expected = autoencoder.quantize(autoencoder.features(images)).indices
        assert torch.equal(found.indices, expected)
        assert torch.allclose(found.inputs, autoencoder.quantize.inputs(expected), atol=1e-6)
    assert found.of(np.array([4, 0])).indices.tolist() == expected[[4, 0]].tolist()
