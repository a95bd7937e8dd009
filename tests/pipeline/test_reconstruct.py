"""Autoencoders measured under a suite: a small one of random weights, with and without a codebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from genbench.cards import load_decoder
from genbench.methods.dar.tokenizer import SequentialTokenizer
from genbench.methods.initialisation import initialise
from genbench.methods.latents.autoencoder import module as continuous
from genbench.methods.latents.families import decoder_network
from genbench.methods.var.quantiser import module as multi_scale
from genbench.reconstruct import select
from genbench.suites import find_reconstruction_suite

ROOT = Path(__file__).parents[2]

SUITE = """
id = "recon-tiny"
title = "Small autoencoders on emoji"
kind = "reconstruction"
dataset = "emoji32"
resolution = 32
crop = "{crop}"
images = 12
metrics = ["psnr", "fd@effnet-lite0", "ssim"]
runs = ["small-*"]
"""

CONTINUOUS = """
id = "small-kl"
title = "Random weights"
network = { widths = [8, 16], latent_channels = 3, groups = 4 }
weights = { file = "small-kl.safetensors" }
"""
CODEBOOK = """
id = "small-vq"
title = "Random weights"
family = "var"
quantise = "truncate"
weights = { file = "small-vq.safetensors" }
[network]
widths = [8, 16]
groups = 4
attention = [1]
codebook_size = 20
code_channels = 4
patch_nums = [1, 4, 16]
"""

DRAWING = """
id = "drawing"
title = "Random weights"
family = "d-ar"
weights = { file = "drawing.safetensors" }
[network]
sampling_resolution = 32
encoder_patch_size = 8
encoder_dim = 16
num_encoder_layers = 1
decoder_dim = 16
num_decoder_layers = 1
vq_dim = 4
vq_codebook_size = 20
num_all_queries = 8
num_denoising_steps = 2
head_dim = 8
diff_decoder = { dim = 16, depth = 1, patch_size = 8 }
"""


@pytest.fixture(scope="session")
def autoencoders(tmp_path_factory):
    """A registry of all three, and suites that crop and that do not."""
    root = tmp_path_factory.mktemp("autoencoders")
    for folder in ("registry/decoders", "registry/weights", "suites"):
        (root / folder).mkdir(parents=True)
    for name, text, build in (
        ("small-kl", CONTINUOUS, continuous),
        ("small-vq", CODEBOOK, multi_scale),
        ("drawing", DRAWING, SequentialTokenizer),
    ):
        (root / "registry/decoders" / f"{name}.toml").write_text(text)
        torch.manual_seed(3)
        network = build(decoder_network(load_decoder(name, [root / "registry"])))
        initialise(network)
        save_file(network.state_dict(), root / "registry/weights" / f"{name}.safetensors")
    (root / "suites/recon-tiny.toml").write_text(SUITE.format(crop="none"))
    (root / "suites/recon-crop.toml").write_text(SUITE.format(crop="adm").replace("recon-tiny", "recon-crop"))
    return root


@pytest.fixture
def reconstruct(autoencoders, genbench, tmp_path):
    def call(suite, originals, *arguments):
        inputs = ("--registry", autoencoders / "registry", "--suites", autoencoders / "suites")
        outputs = ("--results", tmp_path / "results", "--cache", tmp_path / "cache")
        return genbench("reconstruct", suite, originals, *arguments, *inputs, *outputs)

    return call


def rows(genbench, tmp_path):
    answer = genbench(
        "sql",
        "SELECT run, statistic, value FROM measurements JOIN runs USING (record_id)",
        "--format",
        "csv",
        "--results",
        tmp_path / "results",
    ).ok()
    lines = [line.split(",") for line in answer.out.splitlines()[1:]]
    return {(run, statistic): float(value) for run, statistic, value in lines}


def test_autoencoders_are_measured_against_their_originals(reconstruct, emoji, genbench, tmp_path):
    first = reconstruct("recon-tiny", emoji).ok()
    found = rows(genbench, tmp_path)
    assert {run for run, _ in found} == {"small-kl@mean", "small-vq@mean"}
    # 32 x 32 px of 24 bits over 3 channels of 16 x 16 numbers of 16 bits, and over 273 codes of log2(20) bits.
    assert found["small-kl@mean", "compression-ratio"] == 24576 / (3 * 16 * 16 * 16)
    assert found["small-vq@mean", "compression-ratio"] == pytest.approx(24576 / (273 * np.log2(20)))
    assert 0 < found["small-vq@mean", "codebook-usage"] <= 1
    assert ("small-kl@mean", "codebook-usage") not in found
    assert 3 < found["small-kl@mean", "psnr"] < 30
    assert "small-vq@mean" in first.out
    again = reconstruct("recon-tiny", emoji).ok()
    assert again.err.count("already measured") == 2
    assert rows(genbench, tmp_path) == found


@pytest.mark.parametrize("model", ["small-vq", "drawing"])
def test_a_part_of_the_images_gives_the_same_pixels_in_any_batch(reconstruct, emoji, genbench, tmp_path, model):
    """Also where they start from noise, which is of the image's number."""
    reconstruct("recon-tiny", emoji, "-m", model, "--batch-size", "5").ok()
    one = rows(genbench, tmp_path)
    (tmp_path / "results").rename(tmp_path / "first")
    (tmp_path / "cache").rename(tmp_path / "cold")
    reconstruct("recon-tiny", emoji, "-m", model, "--batch-size", "64").ok()
    assert rows(genbench, tmp_path) == pytest.approx(one, rel=1e-4)


def test_originals_of_other_sizes_are_cropped_or_refused(reconstruct, tmp_path, genbench):
    folder = tmp_path / "large"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for index in range(12):
        pixels = generator.integers(0, 256, (40 + index, 70, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02d}.png")
    refused = reconstruct("recon-tiny", folder, "-m", "small-kl")
    assert refused.code == 2
    assert "00.png is 70x40, not 32x32" in refused.err
    reconstruct("recon-crop", folder, "-m", "small-kl").ok()
    assert ("small-kl@mean", "ssim") in rows(genbench, tmp_path)


@pytest.mark.parametrize(
    ("suite", "model", "limit", "said"),
    [
        ("recon-tiny", "small-x*", "12", "no latent decoder named 'small-x*'"),
        ("quick", "small-kl", "12", "suite quick is of generated images"),
        ("recon-tiny", "rae-vitxl-dinov2-b-256", "12", "decoder rae-vitxl-dinov2-b-256 has no encoder"),
    ],
)
def test_what_cannot_be_measured_is_refused(reconstruct, emoji, tmp_path, suite, model, limit, said):
    refused = reconstruct(suite, emoji, "-m", model, "--limit", limit)
    assert refused.code == 2
    assert said in refused.err
    assert not list((tmp_path / "results").rglob("*.json"))


def test_too_few_originals_are_refused_and_so_is_a_run(reconstruct, genbench, autoencoders, tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    for index in range(3):
        Image.new("RGB", (32, 32), (index, 0, 0)).save(folder / f"{index}.png")
    refused = reconstruct("recon-tiny", folder, "-m", "small-kl")
    assert (refused.code, "3 images of the 12" in refused.err, "--limit 3" in refused.err) == (2, True, True)
    other = genbench("run", "recon-tiny", "--suites", autoencoders / "suites")
    assert (other.code, "genbench reconstruct recon-tiny ORIGINALS" in other.err) == (2, True)


def test_originals_are_looked_at_before_weights_are_fetched(reconstruct, autoencoders, tmp_path):
    text = CONTINUOUS.replace("small-kl", "far-kl")
    (autoencoders / "registry/decoders/far-kl.toml").write_text(text)
    try:
        refused = reconstruct("recon-tiny", tmp_path / "nowhere", "-m", "far-kl", "--limit", "12")
    finally:
        (autoencoders / "registry/decoders/far-kl.toml").unlink()
    assert "nowhere" in refused.err
    assert "weights" not in refused.err


def test_every_autoencoder_of_the_suite_has_weights_of_its_own():
    suite = find_reconstruction_suite("recon-imagenet256", [ROOT / "suites"])
    chosen = select(suite.runs, [ROOT / "registry"])
    assert chosen
    assert all(card.weights for card in chosen)
