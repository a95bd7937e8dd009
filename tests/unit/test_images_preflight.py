import json

import numpy as np
import pytest
import torch

from genbench.errors import ImageError
from genbench.images.batch import ImageBatch, ImageFacts
from genbench.images.preflight import Collector, ShardFacts, preflight


def pictures(n: int, *, seed: int = 0, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 3, side, side), dtype=np.uint8)


def batch(pixels: np.ndarray, *, kind: str = "PNG", mode: str = "RGB", prefix: str = "i") -> ImageBatch:
    _, _, height, width = pixels.shape
    facts = tuple(ImageFacts(f"{prefix}{i}", kind, mode, width, height) for i in range(len(pixels)))
    return ImageBatch(torch.from_numpy(pixels), facts)


def facts_of(*batches: ImageBatch) -> ShardFacts:
    collector = Collector()
    assert list(collector.watch(batches)) == list(batches)
    return collector.facts()


def test_ordinary_images_give_no_warning():
    report = preflight([facts_of(batch(pictures(6)))], None)
    assert (report.count, report.sizes, report.modes, report.formats) == (6, {"8x8": 6}, {"RGB": 6}, {"PNG": 6})
    assert report.duplicates == report.constant == 0
    assert report.warnings() == []


def test_duplicates_are_found_across_shards_and_name_the_earlier_image():
    first, second = pictures(3), pictures(3, seed=1)
    second[1] = first[2]
    second[2] = first[2]
    report = preflight([facts_of(batch(first, prefix="a")), facts_of(batch(second, prefix="b"))], None)
    assert report.duplicates == 2
    assert report.duplicate_examples == (("b1", "a2"), ("b2", "a2"))
    assert report.warnings() == ["2 images of 6 repeat the pixels of an earlier one (b1 = a2; b2 = a2)."]


def test_equal_bytes_in_another_shape_are_no_duplicate():
    wide, tall = np.zeros((1, 3, 2, 8), np.uint8), np.zeros((1, 3, 8, 2), np.uint8)
    assert preflight([facts_of(batch(wide), batch(tall))], None).duplicates == 0


def test_constant_means_one_colour_not_one_value():
    pixels = pictures(3)
    pixels[0] = 9
    pixels[1, 0], pixels[1, 1], pixels[1, 2] = 1, 2, 3
    report = preflight([facts_of(batch(pixels))], None)
    assert (report.constant, report.constant_examples) == (2, ("i0", "i1"))
    assert "2 images are of one single colour (i0, i1)." in report.warnings()


@pytest.mark.parametrize(
    ("pixels", "says"),
    [
        (pictures(4) // 128, "without scaling"),
        (pictures(4) // 2, "brighter half is never used"),
        (pictures(4) // 2 + 128, "as if in [-1, 1]"),
        (pictures(4) // 2 * 2, "all are even"),
    ],
)
def test_a_suspicious_value_range_says_what_and_why(pixels, says):
    sentences = preflight([facts_of(batch(pixels))], None).warnings()
    assert len(sentences) == 1
    assert says in sentences[0]


def test_one_ordinary_shard_lifts_the_suspicion():
    assert preflight([facts_of(batch(pictures(4) // 2)), facts_of(batch(pictures(4, seed=1)))], None).warnings() == []


def test_converted_and_lossy_inputs_and_sizes_are_counted():
    report = preflight(
        [
            facts_of(
                batch(pictures(1, seed=1), mode="L"),
                batch(pictures(2, seed=2), mode="P"),
                batch(pictures(3, seed=3), mode="RGBA"),
                batch(pictures(4, seed=4), kind="JPEG"),
                batch(pictures(5, seed=5, side=9)),
            )
        ],
        None,
    )
    text = "\n".join(report.warnings())
    for part in ("2 sizes (8x8: 10, 9x9: 5)", "1 image of 15: greyscale", "2 images of 15: palette"):
        assert part in text
    for part in ("3 images of 15: with an alpha", "4 images of 15 are JPEG"):
        assert part in text


@pytest.mark.parametrize(
    ("labels", "classes"),
    [(("a", "a", "b"), 2), (("a", "b", "a"), 0), (("a", "a", "a"), 0), (None, 0)],
)
def test_labels_in_sorted_order_are_told(labels, classes):
    report = preflight([facts_of(batch(pictures(3)))], labels)
    assert report.classes_in_order == classes
    assert any("Inception Score" in sentence for sentence in report.warnings()) == bool(classes)


def test_facts_survive_json_and_merge_like_one_shard():
    one, two = batch(pictures(3), prefix="a"), batch(pictures(2, seed=1), prefix="b")
    shards = [ShardFacts.from_json(json.loads(json.dumps(facts_of(b).to_json()))) for b in (one, two)]
    assert shards[0] == facts_of(one)
    assert preflight(shards, None) == preflight([facts_of(one, two)], None)


@pytest.mark.parametrize("change", [{"names": ["x"]}, {"sizes": None}, {"minimum": "x"}, {"modes": [1]}, {"hashes": 3}])
def test_damaged_facts_are_an_image_error(change):
    data = facts_of(batch(pictures(2))).to_json() | change
    with pytest.raises(ImageError, match="damaged"):
        ShardFacts.from_json(data)


def test_of_no_images_nothing_is_said():
    assert preflight([], None).warnings() == []
