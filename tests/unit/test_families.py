"""A user's own sampler: a class in a file, named by a card of the user's own."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

from genbench.cards import load_card
from genbench.errors import ConfigError, UsageError
from genbench.methods.catalog import FAMILIES
from genbench.methods.families import family, import_object, network_model, settings_model
from genbench.methods.loading import load_sampler
from genbench.methods.noise import SeededNoise
from genbench.methods.runs import make_run

CARD = """
[method]
id = "mine"
name = "Mine"
title = "Mine"
sampler = "mine_for_test:Flat"
[variants.flat]
summary = "one colour"
dataset = "emoji32"
resolution = 8
classes = 5
quantise = "round"
default_preset = "calm"
network = { side = 8 }
presets.calm = { contrast = 0.25 }
"""

CLASS = '''
class Flat:
    """One colour an image, by its seed and label."""

    nfe, parameters = 1.0, 0

    def __init__(self, *, network, settings, state, device):
        assert state is None
        self.side, self.contrast = network["side"], settings["contrast"]

    def sample(self, noise, labels):
        colour = noise.normal((3, 1, 1)) * self.contrast + labels.view(-1, 1, 1, 1) / 10
        return colour.expand(-1, 3, self.side, self.side)
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes ``mine_for_test.py`` anew, as between two calls of genbench."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text) -> Path:
        path = tmp_path / "mine_for_test.py"
        path.write_text(text)
        sys.modules.pop("mine_for_test", None)
        importlib.invalidate_caches()
        sys.path_importer_cache.clear()
        for cached in tmp_path.glob("__pycache__/*"):
            cached.unlink()
        return path

    yield write
    sys.modules.pop("mine_for_test", None)


@pytest.fixture
def card(tmp_path):
    """The user's card."""
    path = tmp_path / "mine.toml"
    path.write_text(CARD)
    return load_card(path)


def test_a_class_of_ten_lines_samples(module, card):
    module(CLASS)
    run = make_run(card, "flat", "calm", {})
    images = load_sampler(run, None, "cpu").sample(SeededNoise([1, 2]), torch.tensor([0, 3]))
    assert images.shape == (2, 3, 8, 8)
    assert torch.equal(images[:, :, :1, :1].expand_as(images), images)
    louder = make_run(card, "flat", "calm", {"contrast": 0.5})
    assert (louder.name, louder.settings) == ("flat@calm+contrast=0.5", {"contrast": 0.5})
    alone = load_sampler(run, None, "cpu").sample(SeededNoise([2]), torch.tensor([3]))
    assert torch.equal(alone, images[1:])


def test_editing_the_file_changes_the_run_digest(module, card):
    module(CLASS)
    first = make_run(card, "flat", "calm", {}).digest(None)
    module(CLASS)
    assert make_run(card, "flat", "calm", {}).digest(None) == first
    module(CLASS.replace("/ 10", "/ 20"))
    assert make_run(card, "flat", "calm", {}).digest(None) != first


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        ("absent_for_test:Flat", CLASS, "no module named 'absent_for_test'", "PYTHONPATH"),
        ("mine_for_test.inner:Flat", CLASS, "no module named 'mine_for_test.inner'", "PYTHONPATH"),
        ("mine_for_test:Flat", "import absent_for_test", "no module named 'absent_for_test'", "install it"),
        ("mine_for_test:Flut", CLASS, "module 'mine_for_test' has no 'Flut'", "did you mean Flat"),
        ("mine_for_test:Zebra", CLASS, "module 'mine_for_test' has no 'Zebra'", "existing class"),
        (
            "mine_for_test:Flat",
            "from torch import absent",
            "cannot import name 'absent'",
            "correct module mine_for_test",
        ),
        ("mine_for_test:Flat", "class Flat(:", "invalid syntax", "correct module mine_for_test"),
        ("mine_for_test:NUMBER", "NUMBER = 5", "is not a class of a Python file", ".py file"),
        ("builtins:dict", CLASS, "is not a class of a Python file", ".py file"),
        (":Flat", CLASS, "is not module:Class", "for example"),
        ("mine_for_test:", CLASS, "is not module:Class", "for example"),
        (".mine_for_test:Flat", CLASS, "is not module:Class", "for example"),
    ],
)
def test_a_class_that_cannot_be_had_says_why(module, name, text, message, hint):
    module(text)
    with pytest.raises(ConfigError) as caught:
        family(name, "mine.toml: variants.flat")
    assert str(caught.value).startswith(f"mine.toml: variants.flat: sampler {name!r}")
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_an_attribute_missing_inside_the_users_module_is_not_taken_for_the_class(module):
    module("import torch\ntorch.absent")
    with pytest.raises(AttributeError, match="'torch' has no attribute 'absent'"):
        import_object("mine_for_test:Flat", "mine.toml")


def test_an_unknown_family_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"no sampler family named 'lightningdti' in x\.toml") as caught:
        family("lightningdti", "x.toml")
    assert caught.value.hint == "did you mean lightningdit?"


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_be_imported_with_its_models(name):
    chosen = family(name, "x")
    assert callable(import_object(chosen.sampler, "x"))
    for model in (network_model(chosen, "x"), settings_model(chosen, "x")):
        assert model is not None
        assert model.model_config["extra"] == "forbid"
