"""MAGE and RCG against vectors of their authors' code. ``mage/config.json`` and ``rcg/config.json`` say which."""

import json
import shutil
from pathlib import Path

import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from genbench.errors import ConfigError
from genbench.methods.manifests import load_manifest
from genbench.methods.vectors import replay

HERE = Path(__file__).parent
INPUTS = {
    "mage": {"codes", "token_emb", "vq/image"},
    "rcg": {"codes", "rep", "rdm/x_t", "rdm/t", "rdm/labels"},
}


@pytest.mark.parametrize("folder", INPUTS)
def test_agrees_with_the_authors_code(folder):
    found = {comparison.name: comparison for comparison in replay(HERE / folder)}
    runs = {run["name"] for run in json.loads((HERE / folder / "sampler.json").read_text())["runs"]}
    with safe_open(HERE / folder / "forward.safetensors", framework="pt") as forward:
        assert found.keys() == (set(forward.keys()) - INPUTS[folder]) | runs
    # Kernels and the order of sums: 3e-5 of the largest logit, which guidance and DDIM's first steps amplify.
    assert [c for c in found.values() if not c.difference <= 5e-5 * c.scale or c.draws_left] == []


@pytest.mark.parametrize(
    ("folder", "tensor"),
    [
        ("mage", "temp4.5/logits_last"),
        ("mage", "temp4.5/image"),
        ("rcg", "uncond_cfg3/logits_last"),
        ("rcg", "classcond_cfg1/image"),
        ("rcg", "uncond/draw.003"),
        ("rcg", "classcond_cfg1/ids"),
    ],
)
def test_a_result_that_is_off_disagrees(tmp_path, folder, tensor):
    copy = Path(shutil.copytree(HERE / folder, tmp_path / folder))
    tensors = load_file(copy / "sampler.safetensors")
    if tensors[tensor].is_floating_point():
        tensors[tensor].view(-1)[0] += 0.02 * float(tensors[tensor].abs().max())
    else:
        tensors[tensor].view(-1)[0] ^= 1
    save_file(tensors, copy / "sampler.safetensors")
    assert [c.name for c in replay(copy) if not c.agrees] == [tensor.partition("/")[0]]


def test_the_average_of_the_denoiser_is_sampled_and_not_its_last_step(tmp_path):
    """The authors sample with it; the two differ in the vectors' files."""
    copy = Path(shutil.copytree(HERE / "rcg", tmp_path / "rcg"))
    state = load_file(copy / "rdm.safetensors")
    save_file(
        {key: value for key, value in state.items() if not key.startswith("model_ema.")}, copy / "rdm.safetensors"
    )
    off = {c.name for c in replay(copy) if not c.agrees}
    assert off == {"rdm/out", "uncond", "uncond_cfg3"}


def test_the_denoiser_is_as_large_as_the_authors_print():
    """``viz_rcg.ipynb`` shows "DiffusionWrapper has 62.72 M params" and "Keeping EMAs of 132"."""
    manifest = load_manifest(HERE.parents[1] / "registry" / "manifests" / "rcg-rdm.json")
    assert round(manifest.parameters / 1e6, 2) == 62.72
    assert sum(key.startswith("model_ema.") for key in manifest.keys) == 132


def test_another_kind_of_denoiser_is_refused(tmp_path):
    copy = Path(shutil.copytree(HERE / "rcg", tmp_path / "rcg"))
    config = json.loads((copy / "config.json").read_text())
    config["rdm"]["params"]["parameterization"] = "eps"
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="another parameterization"):
        list(replay(copy))
