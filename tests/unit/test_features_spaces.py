"""What a feature space is called and what its digest covers."""

from __future__ import annotations

import dataclasses
import json

import pytest

from genbench.errors import FeatureError, UsageError
from genbench.features.spaces import INCEPTION_WITH_HEAD, SPACES, get
from genbench.features.token_spaces import reduced
from genbench.weights import WeightFile


def test_every_space_stands_under_its_own_name():
    assert all(space.name == name for name, space in SPACES.items())
    assert len({space.digest for space in SPACES.values()}) == len(SPACES)


def test_widths_are_those_of_the_literature():
    # 2048 and 17 * 17 * 7 = 2023 from the ADM evaluator, 1008 from the 2015 graph, 14 * 14 * 112 from the Lite0 table.
    assert {name: space.width for name, space in SPACES.items() if not space.reduction} == {
        "inception-tf": 2048,
        "inception-tf/spatial": 2023,
        "inception-tf/logits": 1008,
        "inception-clean": 2048,
        "inception-torch": 2048,
        "inception-aa": 2048,
        "pixels/haar4": 0,
        "vgg16-lpips": 0,
        "vgg16-lpips/pairs": 1,
        "pixels/psnr": 1,
        "pixels/ssim": 1,
        "dinov2-l-dgm": 1024,
        "dinov2-l-edm2": 1024,
        "dinov2-l-fdloss": 1024,
        "dinov2-b-reg": 256 * 768,
        "clip-l14-336": 768,
        "clip-l14": 1024,
        "convnextv2-b": 1024,
        "mae-l": 1024,
        "siglip2-so400m": 1152,
        "effnet-lite0": 1280,
        "effnet-lite0/logits": 1000,
        "effnet-lite0/tokens": 196 * 112,
        # Patches of 14 or 16 pixels on 224, 256 (padded to 266) or 336; ConvNeXt's last stride is 32.
        "dinov2-l-dgm/tokens": 16**2 * 1024,
        "dinov2-l-edm2/tokens": 16**2 * 1024,
        "dinov2-l-fdloss/tokens": 19**2 * 1024,
        "clip-l14-336/tokens": 24**2 * 1024,
        "clip-l14/tokens": 19**2 * 1024,
        "convnextv2-b/tokens": 7**2 * 1024,
        "mae-l/tokens": 14**2 * 1024,
        "siglip2-so400m/tokens": 14**2 * 1152,
    }


TOKENS = [space for space in SPACES.values() if space.layer == "tokens" and not space.reduction]


@pytest.mark.parametrize("tokens", TOKENS, ids=lambda space: space.name)
def test_every_space_of_tokens_is_kept_as_correlograms_and_layouts(tokens):
    encoder = tokens.name.removesuffix("/tokens")
    # H + W - 1 distances, and 16 · 15 / 2 pairs of regions.
    assert get(f"{encoder}/correlogram").width == 2 * round(tokens.shape[0] ** 0.5) - 1
    assert get(f"{encoder}/layout").width == 120


def test_reductions_are_of_spaces_that_have_tokens():
    of_tokens = {space.extractor for space in SPACES.values() if space.reduction in ("correlogram", "layout")}
    assert of_tokens == {space.extractor for space in TOKENS}


def test_tokens_on_no_square_grid_are_not_reduced():
    with pytest.raises(FeatureError, match="12 tokens an image are no square grid"):
        reduced(dataclasses.replace(get("effnet-lite0/tokens"), shape=(12, 112)))


def test_a_definition_can_be_printed_as_json():
    for space in SPACES.values():
        printed = json.loads(json.dumps(dataclasses.asdict(space)))
        assert printed["preprocessing"]
        assert printed["source"]
        assert printed["summary"]


def test_digests_that_packaged_statistics_rest_on_do_not_move():
    # As printed when the statistics in registry/references were made.
    assert {name: get(name).digest[:12] for name in ("inception-tf", "effnet-lite0")} == {
        "inception-tf": "31fa57812e76",
        "effnet-lite0": "0db59ac78983",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"extractor": "other"},
        {"layer": "other"},
        {"version": 2},
        {"preprocessing": "other"},
        {"weights": WeightFile("default_1.pt", sha256="0" * 64)},
        {"weights": WeightFile("default_1.pt", url="https://example.org/default_1.pt")},
        {"further": (WeightFile("heads.pth", sha256="0" * 64),)},
        {"precision": "fast"},
        {"reduction": "layout"},
    ],
)
def test_the_digest_covers_what_changes_a_value(change):
    space = get("inception-tf")
    assert dataclasses.replace(space, **change).digest != space.digest


@pytest.mark.parametrize("change", [{"name": "other"}, {"summary": "other"}, {"source": "other"}, {"equivalents": ()}])
def test_the_digest_leaves_out_what_changes_no_value(change):
    space = get("inception-tf")
    assert dataclasses.replace(space, **change).digest == space.digest


def test_the_two_published_inception_files_are_one_space_but_for_the_head():
    assert INCEPTION_WITH_HEAD in get("inception-tf").equivalents
    assert get("inception-tf/logits").weights == INCEPTION_WITH_HEAD
    assert get("inception-tf/logits").equivalents == ()


def test_an_unknown_space_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="no feature space named 'inception-ft'") as caught:
        get("inception-ft")
    assert "inception-tf" in caught.value.hint
