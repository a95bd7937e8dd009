"""What `genbench run` refuses: two lines, an exit code, and everything that was there is as it was."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.pipeline.conftest import Measured, World


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (("tinny",), "no suite named 'tinny'", "did you mean tiny?"),
        (("nosuch.toml",), "nosuch.toml: cannot be read", ""),
        (("tiny", "-m", "tinny"), "no method named 'tinny'", "did you mean tiny"),
        (("tiny", "-m", "tiny@sde3"), "no preset named 'sde3' in variant tiny", "sde2"),
        (("tiny", "-m", "zzz*"), "no method named 'zzz*'", "genbench list methods"),
        (("tiny", "--set", "stesp=3"), "unknown key 'stesp'", "did you mean steps"),
        (("tiny", "--set", "steps"), "is not key=value", "--set steps=50"),
        (("tiny", "--set", "steps=[3]"), "a setting is one value", ""),
        (("tiny", "--set", "steps=1"), "greater than or equal to 2, not 1", ""),
        (("tiny", "--set", "mode=odd"), "should be 'ode' or 'sde', not 'odd'", ""),
        (("tiny", "--set", "cfg=Infinity"), "--set 'cfg=Infinity'", "finite number"),
        (("blocks", "--block", "2"), "suite blocks has no block 2", "its blocks are 0 to 1"),
        (("tiny", "--limit", "0"), "--limit", "`genbench run --help`"),
        (("tiny", "--limit", "1"), "--limit", "`genbench run --help`"),
        (("tiny", "--limit", "many"), "--limit", "`genbench run --help`"),
        (("tiny", "--batch-size", "0"), "--batch-size", "`genbench run --help`"),
        (("tiny", "--shard-size", "0"), "--shard-size", "`genbench run --help`"),
        (("tiny", "--modle", "tiny"), "--modle", "`genbench run --help`"),
        (("tiny", "--device", "nonsense"), "--device nonsense", "genbench show environment"),
        (("tiny", "--device", "meta"), "--device meta", "genbench show environment"),
        (("tiny", "--device", "cuda:99"), "--device cuda:99", "genbench show environment"),
        ((), "Missing argument", "`genbench run --help`"),
    ],
)
def test_misuse_is_told_before_anything_is_done(
    measured: Measured, arguments: tuple[str, ...], error: str, hint: str
) -> None:
    before = measured.world.state()
    said, advised = measured.world.run(*arguments).problem(2)
    assert error in said
    assert hint in advised
    assert len(said) < 300, "one line that people read"
    assert measured.world.state() == before


@pytest.mark.parametrize(
    ("old", "new", "error", "hint"),
    [
        ("labels =", "label =", "unknown key 'label'", "did you mean labels?"),
        ('labels = "empirical"\n', "", "key 'labels' is missing", "add labels"),
        ("images = 24", "images = 1", "images: should be greater than 1, not 1", ""),
        ("images = 24", 'images = "many"', "images", ""),
        ("images = 24", "images = = 24", "not valid TOML", ""),
        ('id = "tiny"', 'id = "other"', "id is 'other', the file is called 'tiny.toml'", "rename the file to other"),
        ('"fd@effnet-lite0"', '"fidd"', "no metric named 'fidd'", "fid"),
        ('"fd@effnet-lite0"', '"fd@effnet-lite"', "no feature space named 'effnet-lite'", "effnet-lite0"),
        ('"fd@effnet-lite0"', '"df@effnet-lite0"', "no statistic named 'df'", "fd"),
        ('"emoji32-train"', '"emoji32-trian"', "no reference named 'emoji32-trian'", "did you mean emoji32-train"),
        ('"fd@effnet-lite0"', '"fd@effnet-lite0/logits"', "has no statistics in effnet-lite0/logits", ""),
        ("resolution = 32", "resolution = 64", "tiny makes emoji32 images of 32 px", "genbench list suites"),
        ('"tiny@*"', '"tyni@*"', "no method named 'tyni'", "did you mean tiny?"),
    ],
)  # fmt: skip
def test_a_suite_that_is_not_valid_is_told_by_file_and_key(
    world: World, old: str, new: str, error: str, hint: str
) -> None:
    path = world.suites / "tiny.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    said, advised = world.run("tiny").problem(2)
    assert error in said
    assert hint in advised
    if "key" in error or "images: " in error or "TOML" in error:
        assert str(path) in said
    assert world.state() == {}


@pytest.mark.parametrize(
    ("old", "new", "error", "hint"),
    [
        ("quantise =", "quantize =", "unknown key 'variants.tiny.quantize'", "did you mean quantise"),
        ('name = "Tiny"', 'nmae = "Tiny"', "'method.n", ""),
        ('"round"', '"floor"', "variants.tiny.quantise: should be 'round', 'half' or 'truncate', not 'floor'", ""),
        ('sampler = "sit"', 'sampler = "sitt"', "no sampler family named 'sitt'", "did you mean sit"),
        ("steps = 3", "stpes = 3", "unknown key 'stpes'", "did you mean steps"),
        ('default_preset = "ode2"', 'default_preset = "ode1"', "preset 'ode1' is not one of ode2, ode3-cfg2, sde2", ""),
        ("hidden_size = 32", "hidden_siez = 32", "unknown key 'hidden_siez'", "did you mean hidden_size"),
        ('file = "tiny', 'file = "../tiny', "variants.tiny.weights.file: should be a file name inside the weights", ""),
        ("[method]", "[method", "not valid TOML", ""),
    ],
)  # fmt: skip
def test_a_card_that_is_not_valid_is_told_by_file_and_key(
    world: World, old: str, new: str, error: str, hint: str
) -> None:
    path = world.registry / "tiny.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    said, advised = world.run("tiny").problem(2)
    assert "tiny.toml" in said
    assert error in said
    assert hint in advised
    assert world.state() == {}


def test_weights_that_are_nowhere(world: World) -> None:
    (world.registry / "weights" / "tiny.safetensors").unlink()
    said, advised = world.run("tiny").problem(2)
    assert said == "tiny.safetensors is not on this machine, and it has no published address"
    assert str(world.cache / "weights" / "tiny.safetensors") in advised
    assert world.shards() == []


def test_weights_that_are_not_the_published_ones(world: World) -> None:
    weights = world.registry / "weights" / "tiny.safetensors"
    published = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.write_bytes(weights.read_bytes() + b" ")
    said, advised = world.run("tiny").problem(2)
    assert str(weights) in said
    assert f"expected {published}" in said
    assert "put the published file in its place" in advised
    assert world.shards() == []


def test_weights_that_are_no_weights(world: World) -> None:
    weights = world.registry / "weights" / "tiny.safetensors"
    published = hashlib.sha256(weights.read_bytes()).hexdigest()
    weights.write_bytes(weights.read_bytes()[:-100])
    card = world.registry / "tiny.toml"
    card.write_text(card.read_text().replace(published, hashlib.sha256(weights.read_bytes()).hexdigest()))
    said, _ = world.run("cheap", "-m", "tiny").problem(1)
    assert "cannot be read as weights" in said
    assert world.records() == []


@pytest.mark.parametrize("folder", ["results", "cache"])
def test_a_file_where_a_folder_is_needed(world: World, folder: str) -> None:
    place = getattr(world, folder)
    place.write_text("mine")
    said, advised = world.run("cheap", "-m", "tiny").problem(2)
    assert str(place) in said
    assert f"--{folder}" in advised
    assert place.read_text() == "mine"
