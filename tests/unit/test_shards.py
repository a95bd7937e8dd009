"""The feature cache: shards are complete or absent, and damage is noticed."""

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genbench.errors import FeatureError, StoreError
from genbench.files import temporary_name
from genbench.shards import MAGIC, SHARD_IMAGES, TRAILER, Shard, ShardCache, covering, joined, space_folder, split

SHARD = Shard(2000, 5)
ARRAY = np.arange(5 * 7, dtype=np.float32).reshape(5, 7)


@given(st.integers(0, 10**9), st.integers(0, 20_000))
def test_a_split_covers_every_image_once_in_order(first, count):
    shards = split(first, count)
    assert [i for s in shards for i in (s.first, s.first + s.size)] == [
        edge for start in range(first, first + count, 1000) for edge in (start, min(start + 1000, first + count))
    ]
    assert all(s.size == SHARD_IMAGES == 1000 for s in shards[:-1])


@given(st.integers(0, 9999), st.integers(0, 9999))
def test_more_images_keep_the_full_shards_of_fewer(a, b):
    fewer, more = sorted((a, b))
    assert set(split(0, fewer // 1000 * 1000)) <= set(split(0, more))


@given(st.lists(st.integers(0, 9_999_999_999), min_size=2, max_size=2))
def test_stems_sort_as_their_images_do(firsts):
    a, b = (Shard(first, 1000) for first in firsts)
    assert (a.stem < b.stem) == (a.first < b.first)


@pytest.fixture
def cache(tmp_path):
    return ShardCache(tmp_path)


def written(cache, array=ARRAY, shard=SHARD):
    cache.write("images", "space", shard, array)
    return cache.root / "images" / "space" / f"{shard.stem}.npy"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64, np.uint8])
@pytest.mark.parametrize("shape", [(5, 7), (0, 7), (5,), (3, 2, 4)])
def test_what_was_written_is_read(cache, dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    assert not cache.has("images", "space", SHARD)
    written(cache, array)
    assert cache.has("images", "space", SHARD)
    found = cache.read("images", "space", SHARD)
    assert (found.dtype, found.shape) == (array.dtype, shape)
    assert np.array_equal(found, array)
    assert not found.flags.writeable


def test_other_images_spaces_and_shards_are_not_there(cache):
    written(cache)
    assert not cache.has("other", "space", SHARD)
    assert not cache.has("images", "other", SHARD)
    assert not cache.has("images", "space", Shard(2000, 4))


def test_a_shard_is_a_numpy_file_that_other_programs_read_and_a_trailer(cache):
    path = written(cache, ARRAY.T)  # not contiguous
    assert np.array_equal(np.load(path), ARRAY.T)
    assert path.read_bytes()[-TRAILER:].startswith(MAGIC)
    plain = io.BytesIO()
    np.save(plain, np.ascontiguousarray(ARRAY.T))
    assert path.read_bytes()[:-TRAILER] == plain.getvalue()


def test_the_same_features_are_the_same_bytes(cache):
    first = written(cache).read_bytes()
    assert written(cache).read_bytes() == first


def damage(cache, path, content, capsys):
    """What `has` does with a file of this content."""
    path.write_bytes(content)
    assert list(cache.damaged()) == [path]
    assert not cache.has("images", "space", SHARD)
    assert f"{path}: damaged shard, made again" in capsys.readouterr().err
    assert not path.exists(), "it is removed, so that the space is missing it"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A cache with one sound shard, and its bytes."""
    cache = ShardCache(tmp_path_factory.mktemp("cache"))
    path = written(cache)
    return cache, path, path.read_bytes()


@given(st.data())
def test_a_torn_shard_is_noticed(sound, data):
    cache, path, content = sound
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    assert list(cache.damaged()) == [path]


@given(st.data(), st.integers(1, 255))
def test_a_flipped_byte_anywhere_is_noticed(sound, data, mask):
    """In the header, in the features, in the magic and in the digest."""
    cache, path, content = sound
    place = data.draw(st.integers(0, len(content) - 1))
    path.write_bytes(content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :])
    assert list(cache.damaged()) == [path]


@given(st.binary(min_size=1, max_size=100))
def test_bytes_after_the_end_are_noticed(sound, extra):
    cache, path, content = sound
    path.write_bytes(content + extra)
    assert list(cache.damaged()) == [path]
    path.write_bytes(content)
    assert list(cache.damaged()) == []


def test_a_damaged_shard_is_removed_said_and_made_again(cache, capsys):
    path = written(cache)
    content = path.read_bytes()
    for bad in (b"", content[:-1], b"\0" * len(content), content[:-TRAILER]):
        damage(cache, path, bad, capsys)
    written(cache)
    assert cache.has("images", "space", SHARD)
    assert capsys.readouterr().err == ""


def test_a_write_that_fails_leaves_the_shard_that_was_there(cache, monkeypatch):
    path = written(cache)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)") as caught:
        written(cache, ARRAY + 1)
    assert "--cache" in caught.value.hint
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_facts_are_kept_beside_the_shards(cache):
    assert cache.read_facts("images", SHARD) is None
    cache.write_facts("images", SHARD, {"seconds": 1.5, "warnings": ["a"]})
    assert cache.read_facts("images", SHARD) == {"seconds": 1.5, "warnings": ["a"]}
    path = cache.root / "images" / "facts" / f"{SHARD.stem}.json"
    for unreadable in ("", "[1]", '{"a": '):
        path.write_text(unreadable)
        assert cache.read_facts("images", SHARD) is None


def test_entries_say_what_the_cache_holds(cache):
    assert list(cache.entries()) == []
    path = written(cache)
    cache.write("images", "another", SHARD, ARRAY)
    cache.write_facts("images", SHARD, {})
    cache.describe("images", "sit-emoji32@ode25")
    cache.describe("images", "the first description stays")
    cache.write("more", "space", SHARD, ARRAY)
    first, second = cache.entries()
    assert (first.about, first.spaces, first.shards) == ("sit-emoji32@ode25", ("another", "space"), 2)
    assert first.size == 2 * path.stat().st_size + len(json.dumps({})) + len("sit-emoji32@ode25")
    assert first.used == max(p.stat().st_mtime for p in first.folder.rglob("*") if p.is_file())
    assert (second.folder.name, second.about, second.shards) == ("more", "?", 1)
    cache.remove(first)
    assert [entry.folder.name for entry in cache.entries()] == ["more"]


def test_what_a_killed_process_left_is_no_shard(cache):
    path = written(cache)
    path.with_name(temporary_name(path.name)).write_bytes(b"half")
    assert list(cache.damaged()) == []
    assert next(iter(cache.entries())).shards == 1


def test_what_a_process_is_writing_is_neither_counted_nor_removed(cache):
    path = written(cache)
    (entry,) = cache.entries()
    writing = path.with_name(temporary_name(path.name))
    writing.write_bytes(b"half")
    assert list(cache.entries()) == [entry]
    cache.remove(entry)
    assert [file for file in cache.root.rglob("*") if file.is_file()] == [writing]
    writing.unlink()
    (empty,) = cache.entries()
    assert (empty.about, empty.spaces, empty.shards, empty.size) == ("?", (), 0, 0)
    cache.remove(empty)
    assert list(cache.entries()) == []
    cache.remove(empty)


@pytest.fixture
def pruning(monkeypatch):
    """Another process removes everything as soon as a file is looked at."""

    def prune(cache):
        folder = cache.root / "images"
        stat = Path.stat

        def gone(path, **options):
            if path.is_relative_to(folder) and path != folder:
                shutil.rmtree(folder, ignore_errors=True)
            return stat(path, **options)

        monkeypatch.setattr(Path, "stat", gone)

    return prune


def test_what_is_pruned_while_the_cache_is_looked_through_is_not_there(cache, pruning):
    written(cache)
    cache.write("more", "space", SHARD, ARRAY)
    pruning(cache)
    assert [entry.folder.name for entry in cache.entries()] == ["more"]


def test_what_is_pruned_while_it_is_checked_is_not_damaged(cache, pruning):
    written(cache).write_bytes(b"damaged")
    pruning(cache)
    assert list(cache.damaged()) == []


def test_a_shard_that_is_pruned_before_it_is_read_is_named(cache):
    path = written(cache)
    assert cache.has("images", "space", SHARD)
    path.unlink()
    with pytest.raises(StoreError, match=f"{path}: was removed while it was needed") as caught:
        cache.read("images", "space", SHARD)
    assert "again" in caught.value.hint


def test_a_file_that_cannot_be_removed_is_named(cache, monkeypatch):
    path = written(cache)
    (entry,) = cache.entries()

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(StoreError, match=rf"{path}: cannot be removed \(Permission denied\)"):
        cache.remove(entry)


def test_spaces_have_readable_folders_told_apart_by_digest():
    assert space_folder("inception-tf/spatial", "0123456789abcdef" * 4) == "inception-tf_spatial-0123456789ab"
    # Windows takes no colon in a file name.
    assert space_folder("open-clip/ViT-B-32:openai", "0123456789ab") == "open-clip_ViT-B-32%3Aopenai-0123456789ab"


def test_features_that_follow_the_size_of_images_need_one_size():
    wide, narrow = np.zeros((2, 3, 5)), np.ones((4, 3, 5))
    assert np.array_equal(joined("pixels/haar4", [wide, narrow]), np.concatenate([wide, narrow]))
    with pytest.raises(FeatureError, match="pixels/haar4 follows the size of the image, and the images are of several"):
        joined("pixels/haar4", [wide, np.ones((4, 3, 6))])


def test_shards_of_runs_of_other_lengths_are_told_apart():
    whole, limited, others = split(0, 2500), split(0, 100), split(0, 2500, 700)
    found = covering([*limited, *others, *whole], 0, 2500)
    assert sum(shard.size for shard in found) == 2500
    assert [shard.first for shard in found[1:]] == [shard.first + shard.size for shard in found[:-1]]
    assert covering([*limited, *whole[1:]], 0, 2500) is None
    assert covering(limited, 0, 101) is None
    assert covering([*whole, *split(5000, 2500)], 5000, 2500) == tuple(split(5000, 2500))
