"""SiT against vectors of the authors' code (willisma/SiT at 947f95bd3a51, CPU, float32, a small random network).

``sit/config.json`` and ``sit/sampler.json`` say what was run; ``manifests/`` holds keys and shapes of the official
full-size network.
"""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genbench.cards import load_card
from genbench.errors import ConfigError
from genbench.methods.dit.network import DiT
from genbench.methods.vectors import TOLERANCE, replay

HERE = Path(__file__).parent
REGISTRY = HERE.parent.parent / "registry"
VECTORS = HERE / "sit"
NAMES = ["forward", "forward_with_cfg", "sde_official", "ode_euler", "ode_dopri5"]


@pytest.fixture(scope="module")
def comparisons():
    return {comparison.name: comparison for comparison in replay(VECTORS)}


def test_every_recorded_case_is_replayed(comparisons):
    config, sampler = (json.loads((VECTORS / name).read_text()) for name in ("config.json", "sampler.json"))
    recorded = [case["name"] for case in config["forward_cases"]] + [run["name"] for run in sampler["runs"]]
    assert list(comparisons) == recorded == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_authors_code(comparisons, name):
    found = comparisons[name]
    assert TOLERANCE == 1e-4
    assert found.agrees, found
    # What is measured is rounding: other kernels of the authors' own code differ by up to 4e-5 in samplers.
    assert found.difference <= 4e-5
    assert found.draws_left == 0


@pytest.fixture
def altered(tmp_path):
    """A copy of the vectors to change."""
    return Path(shutil.copytree(VECTORS, tmp_path / "sit"))


@pytest.mark.parametrize(
    ("file", "tensor", "name"), [("forward", "out", "forward"), ("sampler", "ode_euler.final", "ode_euler")]
)
def test_a_result_that_is_off_by_a_little_more_than_the_tolerance_disagrees(altered, file, tensor, name):
    path = altered / f"{file}.safetensors"
    tensors = load_file(path)
    tensors[tensor].view(-1)[0] += 1.5 * TOLERANCE * float(tensors[tensor].abs().max())
    save_file(tensors, path)
    assert [c.name for c in replay(altered) if not c.agrees] == [name]


def test_nan_disagrees_and_unused_draws_are_counted(altered):
    path = altered / "sampler.safetensors"
    tensors = load_file(path)
    tensors["ode_euler.final"].view(-1)[0] = float("nan")
    tensors["sde_official.noise"] = torch.cat([tensors["sde_official.noise"], tensors["sde_official.noise"][:1]])
    save_file(tensors, path)
    found = {c.name: c for c in replay(altered)}
    assert [name for name, c in found.items() if not c.agrees] == ["ode_euler"]
    assert found["sde_official"].draws_left == 1


def test_a_setting_that_genbench_does_not_have_is_named_with_its_run(altered):
    path = altered / "sampler.json"
    recorded = json.loads(path.read_text())
    recorded["runs"][1]["sampling_method"] = "rk4"
    path.write_text(json.dumps(recorded))
    with pytest.raises(ConfigError, match=r"sampler\.json: ode_euler: integrator: .*not 'rk4'"):
        list(replay(altered))
    recorded["runs"][1]["path_type"] = "GVP"
    path.write_text(json.dumps(recorded))
    with pytest.raises(ConfigError, match="ode_euler: path GVP"):
        list(replay(altered))


@pytest.mark.parametrize("file", ["config.json", "state.safetensors"])
def test_a_missing_file_is_named(altered, file):
    (altered / file).unlink()
    with pytest.raises(ConfigError, match=file):
        list(replay(altered))


def test_the_full_size_network_has_exactly_the_official_keys_and_shapes():
    manifest = json.loads((HERE / "manifests" / "sit-XL-2-256.json").read_text())
    with torch.device("meta"):
        network = DiT(**load_card(REGISTRY / "sit.toml").variants["sit-xl2-256"].network)
    assert {key: list(value.shape) for key, value in network.state_dict().items()} == manifest["keys"]
    assert sum(p.numel() for p in network.parameters()) == manifest["n_params"] == 675_129_632
    frozen = [name for name, p in network.named_parameters() if not p.requires_grad]
    assert frozen == manifest["frozen"] == ["pos_embed"]
