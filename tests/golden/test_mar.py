"""MAR against vectors of its authors' code, and against the official keys. ``mar/config.json`` says which."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from genbench.cards import load_card
from genbench.methods.mar.network import MAR
from genbench.methods.vectors import replay

HERE = Path(__file__).parent
VECTORS = HERE / "mar"
REGISTRY = HERE.parents[1] / "registry"
INPUTS = {"labels", "latent", "mask", "diffloss/t", "diffloss/x_t", "diffloss/z"}


def test_agrees_with_the_authors_code():
    found = {comparison.name: comparison for comparison in replay(VECTORS)}
    runs = {run["name"] for run in json.loads((VECTORS / "sampler.json").read_text())["runs"]}
    with safe_open(VECTORS / "forward.safetensors", framework="pt") as forward:
        assert found.keys() == (set(forward.keys()) - INPUTS) | runs
    # Latents grow to 3e4 on random weights; relative to that, kernels of the authors' own code differ by 1e-6.
    assert [c for c in found.values() if not c.difference <= 1e-5 * c.scale or c.draws_left] == []


@pytest.mark.parametrize("tensor", ["cfg_linear/latent", "nocfg/latent", "cfg_constant/latent"])
def test_a_result_that_is_off_disagrees(tmp_path, tensor):
    folder = Path(shutil.copytree(VECTORS, tmp_path / "mar"))
    tensors = load_file(folder / "sampler.safetensors")
    tensors[tensor].view(-1)[0] += 1.5e-4 * float(tensors[tensor].abs().max())
    save_file(tensors, folder / "sampler.safetensors")
    assert [c.name for c in replay(folder) if not c.agrees] == [tensor.partition("/")[0]]


@pytest.mark.parametrize(
    ("variant", "count"),
    [
        # The counts are those of the authors' class.
        ("mar-b-256", 207_924_768),
        ("mar-l-256", 478_326_304),
        ("mar-h-256", 942_403_104),
    ],
)
def test_a_variants_network_is_the_official_one(variant, count):
    chosen = load_card(REGISTRY / "mar.toml").variants[variant]
    official = json.loads((REGISTRY / "manifests" / f"{chosen.manifest}.json").read_text())
    with torch.device("meta"):
        built = MAR(**chosen.network)
    assert {key: list(value.shape) for key, value in built.state_dict().items()} == official["keys"]
    assert sum(p.numel() for p in built.parameters()) == official["n_params"] == count
