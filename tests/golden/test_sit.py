"""What a replay says of vectors that differ, by SiT's. test_vectors.py replays every family's."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genbench.errors import ConfigError
from genbench.methods.vectors import TOLERANCE, replay

HERE = Path(__file__).parent
VECTORS = HERE / "sit"


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
    recorded["runs"][1]["path_type"] = "VE"
    path.write_text(json.dumps(recorded))
    with pytest.raises(ConfigError, match=r"sampler\.json: ode_euler: path: .*not 've'"):
        list(replay(altered))


@pytest.mark.parametrize("file", ["config.json", "state.safetensors"])
def test_a_missing_file_is_named(altered, file):
    (altered / file).unlink()
    with pytest.raises(ConfigError, match=file):
        list(replay(altered))
