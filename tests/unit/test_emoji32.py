"""The embedded data set: what it holds, that it is checked, and that it can be built again."""

import importlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genbench.digest import digest_file
from genbench.errors import WeightsError
from genbench.features import spaces
from genbench.images import emoji32
from genbench.images.datasets import training_labels
from genbench.metrics.reference import Reference
from genbench.references import reference_file

# Counted in emoji.json of emoji-datasource-google 16.0.0: entries and skin variations with `has_img_google`.
IN_THE_PACKAGE = {
    "Activities": 85,
    "Animals & Nature": 159,
    "Flags": 270,
    "Food & Drink": 131,
    "Objects": 264,
    "People & Body": 2261,
    "Smileys & Emotion": 169,
    "Symbols": 224,
    "Travel & Places": 218,
}
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def train():
    return emoji32.load("train")


@pytest.fixture(scope="module")
def test():
    return emoji32.load("test")


def test_sizes_shapes_and_classes(train, test):
    assert (len(train.images), len(test.images)) == (3404, 377)
    for split in (train, test):
        n = len(split.images)
        assert (split.images.shape, split.images.dtype) == ((n, 32, 32, 3), np.uint8)
        assert (split.labels.shape, split.labels.dtype) == ((n,), np.int64)
        assert len(split.names) == len(split.bases) == len(split.subcategories) == n
    assert list(emoji32.CLASSES) == sorted(IN_THE_PACKAGE)
    counts = np.bincount(train.labels) + np.bincount(test.labels)
    assert dict(zip(emoji32.CLASSES, counts.tolist(), strict=True)) == IN_THE_PACKAGE
    assert sum(IN_THE_PACKAGE.values()) == 3781
    assert np.array_equal(training_labels("emoji32"), train.labels)


def test_each_class_gives_a_tenth_to_the_test_split(train, test):
    for label, total in enumerate(IN_THE_PACKAGE.values()):
        assert abs(int((test.labels == label).sum()) - total / 10) <= 1


def test_skin_tones_of_one_emoji_are_on_one_side(train, test):
    assert not set(train.bases) & set(test.bases)
    hands = [base for name, base in zip(train.names, train.bases, strict=True) if name.startswith("waving hand sign")]
    assert len(hands) == 6
    assert set(hands) == {"1F44B"}, "the plain one and five tones"


def test_pictures_are_on_white(train, test):
    """Most emoji leave their corners free; squares, round faces and hands that reach the edge do not (13 %)."""
    images = np.concatenate([train.images, test.images])
    corners = images[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corners == 255).all(axis=(1, 2)).mean() > 0.85
    assert not (images == images[:, :1, :1]).all(axis=(1, 2, 3)).any(), "no picture is of one colour"
    assert images.std(axis=0).min() > 0


def test_an_image_that_everybody_knows(train):
    """Grinning face: yellow in the middle of the forehead, white teeth, dark eyes."""
    face = train.images[train.names.index("grinning face")].astype(int)
    red, green, blue = face[6, 16]
    assert red > 220
    assert green > 150
    assert blue < 120
    assert face.min() < 100


def test_loads_are_independent_and_the_archive_is_read_once():
    first = emoji32.load("test")
    first.images[:] = 0
    assert emoji32.load("test").images.any()
    assert emoji32._archive.cache_info().misses == 1


def test_an_altered_archive_is_refused(tmp_path, monkeypatch):
    assert digest_file(emoji32.ARCHIVE) == emoji32.SHA256
    altered = tmp_path / "emoji32.zip"
    data = bytearray(emoji32.ARCHIVE.read_bytes())
    data[len(data) // 2] ^= 1
    altered.write_bytes(data)
    monkeypatch.setattr(emoji32, "ARCHIVE", altered)
    with pytest.raises(WeightsError, match=f"not the published one .sha256 .*expected {emoji32.SHA256}") as caught:
        emoji32.load("train")
    assert str(altered) in str(caught.value)
    assert "reinstall" in caught.value.hint


def test_licence_and_attribution_stand_beside_it():
    folder = emoji32.ARCHIVE.parent
    assert "Apache License" in (folder / "LICENSE.emoji32").read_text()
    assert "emoji-datasource-google" in (folder / "ATTRIBUTION.md").read_text()


@pytest.mark.slow
def test_the_archive_is_built_from_the_npm_package(tmp_path, monkeypatch, capsys):
    """``npm pack emoji-datasource-google@16.0.0``, and its path in GENBENCH_EMOJI_PACKAGE."""
    package = os.environ.get("GENBENCH_EMOJI_PACKAGE")
    if not package:
        pytest.skip("GENBENCH_EMOJI_PACKAGE names no file")
    builder = importlib.import_module("tools.build_emoji32")
    monkeypatch.setattr(builder, "TARGET", tmp_path / "emoji32.zip")
    builder.main(Path(package))
    assert "3781 images, 3404 train, 377 test" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "emoji32.zip") as made, zipfile.ZipFile(emoji32.ARCHIVE) as kept:
        assert made.read("labels.csv") == kept.read("labels.csv")
    # Another WebP encoder may pack the same pixels otherwise: the pixels are what has to agree.
    monkeypatch.setattr(emoji32, "SHA256", digest_file(tmp_path / "emoji32.zip"))
    rebuilt, _ = emoji32._archive(tmp_path / "emoji32.zip")
    monkeypatch.undo()
    assert np.array_equal(rebuilt, emoji32._archive(emoji32.ARCHIVE)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inception-tf", "effnet-lite0", "effnet-lite0/correlogram"])
@pytest.mark.parametrize(("split", "n", "n_features"), [("train", 3404, 1000), ("test", 377, 377)])
def test_the_packaged_reference_statistics_are_what_the_split_gives(split, n, n_features, name):
    """To 1e-5 of the largest entry: another processor sums in another order."""
    builder = importlib.import_module("tools.build_references")
    path = builder.FOLDER / reference_file(f"emoji32-{split}", name)
    kept = Reference.load(path, space=name, space_digest=spaces.get(name).digest)
    made = builder.build(split, (name,))[name]
    assert made.n == kept.n == n
    assert made.source == kept.source
    assert np.array_equal(made.indices, kept.indices)
    assert kept.n_features == n_features
    assert np.array_equal(made.labels.classes, kept.labels.classes)
    assert made.labels.names == kept.labels.names == emoji32.CLASSES
    for found, expected, rounding in (
        (made.mean, kept.mean, 0),
        (made.cov, kept.cov, 0),
        (made.features, kept.features, 2**-11),  # kept as float16
    ):
        assert np.all(np.abs(found - expected) <= 1e-5 * np.abs(expected).max() + rounding * np.abs(expected))
