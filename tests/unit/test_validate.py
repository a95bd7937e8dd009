"""`genbench validate`: each check of a card fails for what it is there to find, and for nothing else."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genbench.cards import decoder_files, load_card, load_cards, load_decoder
from genbench.cli.main import run
from genbench.methods.catalog import FAMILIES
from genbench.validate import validate, validate_decoder

ROOT = Path(__file__).parents[2]
REGISTRY = ROOT / "registry"
MANIFESTS = [REGISTRY / "manifests"]
VECTORS = ROOT / "tests" / "golden" / "sit"


COMPANIONS = {
    "flowturbo": {"refiner's keys"},
    "rae": {"guide's keys"},
    "rcg": {"rdm's keys"},
    "sfd": {"guide's keys"},
}


@pytest.fixture
def card():
    return load_card(REGISTRY / "sit.toml")


def changed(card, **update):
    variant = card.variants["sit-emoji32"].model_copy(update=update)
    return card.model_copy(update={"variants": {"sit-emoji32": variant}})


def failures(card, manifests=MANIFESTS):
    return {finding.check: finding.detail for finding in validate(card, manifests) if finding.passed is False}


@pytest.mark.parametrize("method", sorted(name for name, card in load_cards([REGISTRY]).items() if card.variants))
def test_the_packaged_cards_pass(method):
    packaged = load_cards([REGISTRY])[method]
    found = list(validate(packaged, MANIFESTS))
    assert [f for f in found if f.passed is False] == []
    companions = {f"{name}'s keys" for variant in packaged.variants.values() for name in variant.companions}
    assert {f.check for f in found} == {"presets", "keys", "sample"} | companions
    assert companions == COMPANIONS.get(method, set())


@pytest.mark.parametrize("name", decoder_files([REGISTRY]))
def test_the_packaged_decoders_pass(name):
    """What others released is held to its official keys; what the zoo trained has no other author."""
    card = load_decoder(name, [REGISTRY])
    found = validate_decoder(card, MANIFESTS)
    assert (found.passed, found.check) == (True if card.manifest else None, "keys"), found.detail
    assert card.manifest or name.endswith("-emoji32")


def test_a_decoder_of_another_width_is_found():
    decoder = load_decoder("sd-vae-ft-ema", [REGISTRY])
    narrow = decoder.model_copy(update={"network": {**decoder.network, "latent_channels": 8}})
    found = validate_decoder(narrow, MANIFESTS)
    assert found.passed is False
    assert "of another shape" in found.detail


def test_two_names_of_one_preset_are_found(card):
    presets = {"a": {"mode": "ode", "steps": 5}, "b": {"mode": "ode", "steps": 5, "cfg": 1.0}}
    assert "a and b" in failures(changed(card, presets=presets, default_preset="a"))["presets"]


def test_another_width_than_the_official_one_is_found(card, tmp_path):
    found = failures(changed(card, manifest="sit-XL-2-256"))
    assert set(found) == {"keys"}
    assert "not those of sit-XL-2-256" in found["keys"]
    assert "no manifest other.json" in failures(changed(card, manifest="other"), [tmp_path])["keys"]


def test_what_a_manifest_ignores_is_not_asked_for(card, tmp_path):
    variant = card.variants["sit-xl2-256"]
    manifest = json.loads((MANIFESTS[0] / "sit-XL-2-256.json").read_text())
    manifest["keys"]["projectors.0.weight"] = [2, 2]
    only = card.model_copy(update={"variants": {"sit-xl2-256": variant}})
    (tmp_path / "sit-XL-2-256.json").write_text(json.dumps(manifest))
    assert "projectors.0.weight" in failures(only, [tmp_path])["keys"]
    (tmp_path / "sit-XL-2-256.json").write_text(json.dumps(manifest | {"ignore_prefixes": ["projectors."]}))
    assert failures(only, [tmp_path]) == {}


def test_a_sampler_that_mixes_its_batch_is_found(card, monkeypatch):
    from genbench.methods.sit.sampler import SiTSampler

    sample = SiTSampler.sample
    monkeypatch.setattr(SiTSampler, "sample", lambda self, *a: (x := sample(self, *a)) - x.mean())
    assert "batch of two" in failures(changed(card))["sample"]
    monkeypatch.setattr(SiTSampler, "sample", lambda self, *a: sample(self, *a) * torch.nan)
    assert "not finite" in failures(changed(card))["sample"]


def test_every_family_can_be_tried_without_weights():
    assert [name for name, family in FAMILIES.items() if family.module is None] == ["diffusers"]  # has files only


def test_vectors_are_replayed_and_a_difference_is_the_answer_no(tmp_path, capsys):
    assert run(["validate", "--vectors", str(VECTORS), "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["case"] for row in rows][:2] == ["forward", "forward_with_cfg"]
    assert all(row["result"] == "ok" and row["difference"] <= row["bound"] for row in rows)
    folder = Path(shutil.copytree(VECTORS, tmp_path / "sit"))
    tensors = load_file(folder / "forward.safetensors")
    tensors["out"].view(-1)[0] += 1
    save_file(tensors, folder / "forward.safetensors")
    assert run(["validate", "--vectors", str(folder), "--format", "json"]) == 1
    assert [row["case"] for row in json.loads(capsys.readouterr().out) if row["result"] == "FAIL"] == ["forward"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a card, --all, or --vectors"),
        (["sit", "--all"], "give a card, --all, or --vectors"),
        (["sitt"], "no method or decoder named 'sitt'"),
        (["nowhere.toml"], "nowhere.toml"),
        (["--vectors", "nowhere"], "nowhere"),
    ],
)
def test_misuse_is_two_lines(arguments, message, capsys):
    assert run(["validate", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert [line.partition(":")[0] for line in error.splitlines()] == ["error", "hint"]
