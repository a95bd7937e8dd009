"""Encoders without their weights and packages: definitions, and the errors that say how to get them."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from torch.nn import functional

from genbench.errors import UsageError, WeightsError
from genbench.features.encoder_spaces import ENCODER_SPACES
from genbench.features.encoders import ENCODERS, LAYERS, frame_masks, hub_positions
from genbench.features.extractor import load_extractors
from genbench.features.optional import required
from genbench.features.spaces import get
from genbench.metrics.spatial.foreground import patch_masks
from genbench.tokens.grid import square_grid

ENCODER_NAMES = [space.name for space in ENCODER_SPACES]


def test_every_encoder_has_a_space_and_every_space_an_encoder():
    assert set(ENCODERS) == {space.extractor for space in ENCODER_SPACES}
    assert {space.layer for space in ENCODER_SPACES} == set(LAYERS)


def test_every_encoder_has_tokens():
    # Those of dinov2-b-reg are its only space, and have its name.
    with_tokens = {space.extractor for space in ENCODER_SPACES if space.layer == "tokens"}
    assert with_tokens == set(ENCODERS)


@pytest.mark.parametrize("name", ENCODER_NAMES)
def test_offline_the_error_names_file_address_digest_and_folder(name, tmp_path):
    weights = get(name).weights
    with pytest.raises(WeightsError, match=weights.file) as caught:
        load_extractors([get(name)], cache=tmp_path, offline=True)
    assert weights.url in caught.value.hint
    assert (weights.sha256 or "no published sha256") in caught.value.hint
    assert str(tmp_path) in caught.value.hint


def test_openais_addresses_carry_their_digest():
    for name in ("clip-l14", "clip-l14-336"):
        weights = get(name).weights
        assert weights.sha256 in weights.url


def test_the_three_fd_dinov2_are_three_spaces_of_one_file():
    spaces = [get(f"dinov2-l-{form}") for form in ("dgm", "edm2", "fdloss")]
    assert len({space.weights for space in spaces}) == 1
    assert len({space.digest for space in spaces}) == 3


def test_a_missing_package_says_what_installs_it():
    with pytest.raises(UsageError, match="needs the package no_such_package") as caught:
        required("no_such_package", by="some space")
    assert caught.value.hint == 'pip install "genbench[encoders]"'


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is not None, reason="open_clip is installed")
def test_open_clips_spaces_need_open_clip():
    with pytest.raises(UsageError, match="needs the package open_clip"):
        get("open-clip/ViT-B-32:openai")


def test_hub_positions_follow_the_offset_rule():
    # A ramp along columns: torch samples column (c + 0.5) / scale - 0.5 where scale is (16 + 0.1) / 37. Its cubic
    # (a = -0.75) is off a straight line by up to 0.05; the rule without the offset would be off by 0.2 at the end.
    ramp = torch.arange(37.0).expand(37, 37).reshape(1, -1, 1)
    tensors = {"pos_embed": torch.cat([torch.full((1, 1, 1), -5.0), ramp], 1)}
    found = hub_positions(tensors)["pos_embed"]
    assert found.shape == (1, 257, 1)
    assert found[0, 0] == -5
    row = found[0, 1:, 0].view(16, 16)[3]
    expected = (torch.arange(16) + 0.5) * 37 / 16.1 - 0.5
    assert (row - expected)[1:-1].abs().max() < 0.05


@pytest.mark.parametrize("turned", [False, True], ids=["wide", "tall"])
@pytest.mark.parametrize("name", ENCODERS)
def test_a_mask_marks_the_tokens_that_its_object_is_seen_in(name, turned):
    # An object left of the middle and inside the central square of 256 pixels, which begins at 128.
    mask = torch.zeros(1, 256, 512, dtype=torch.bool)
    mask[:, 64:192, 160:256] = True
    mask = mask.mT if turned else mask
    encoder = ENCODERS[name]
    tokens = next(s for s in ENCODER_SPACES if s.extractor == name and s.layer == "tokens")
    grid = square_grid(tokens.shape[0])
    found = patch_masks(frame_masks(name, mask).numpy(), grid)

    picture = mask[:, None].expand(-1, 3, -1, -1).to(torch.uint8) * 255
    white, black = (encoder.prepare(torch.full_like(picture, value))[0, 0, 0, 0] for value in (255, 0))
    seen = (encoder.prepare(picture)[:, 0] > (white + black) / 2).float()
    missing = (grid.width - seen.shape[-1] % grid.width) % grid.width  # the network fills its last patches
    patch = (seen.shape[-1] + missing) // grid.width
    expected = functional.max_pool2d(functional.pad(seen, (0, missing, 0, missing)), patch).flatten(1) > 0
    assert np.array_equal(found, expected.numpy())


def test_masks_of_the_networks_own_size_stay_as_they_are():
    mask = torch.rand(2, 256, 256, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.equal(frame_masks("dinov2-b-reg", mask), mask)
    assert torch.equal(frame_masks("effnet-lite0", mask[:, :100]), mask[:, :100])


def test_an_enlarged_mask_does_not_bleed_and_a_reduced_one_keeps_single_pixels():
    small = torch.zeros(1, 32, 32, dtype=torch.bool)
    small[0, 8:12, 20] = True
    enlarged = frame_masks("dinov2-b-reg", small)
    assert torch.equal(enlarged, small.repeat_interleave(8, 1).repeat_interleave(8, 2))
    large = torch.zeros(1, 1024, 1024, dtype=torch.bool)
    large[0, 777, 99] = True
    assert frame_masks("dinov2-b-reg", large).nonzero().tolist() == [[0, 194, 24]]
