"""D-AR's vectors: pixels by the authors' rule, and what a replay must not pass over. test_vectors.py replays them."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from genbench.errors import ConfigError
from genbench.images.quantise import to_uint8
from genbench.methods.vectors import replay

VECTORS = Path(__file__).parent / "d-ar"
RUNS = [run["name"] for run in json.loads((VECTORS / "sampler.json").read_text())["runs"]]


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(VECTORS, tmp_path / "d-ar"))


@pytest.mark.parametrize("run", RUNS)
def test_pixels_follow_the_authors_rule(run):
    recorded = load_file(VECTORS / "sampler.safetensors")
    expected = recorded[f"{run}/image_uint8_nhwc"].permute(0, 3, 1, 2)
    assert torch.equal(to_uint8(recorded[f"{run}/image"], "round"), expected)


@pytest.mark.parametrize("tensor", ["ramp/start", "topk_topp/image", "interval/logits_guided", "argmax_unguided/seq"])
def test_a_draw_or_a_result_that_is_off_disagrees(folder, tensor):
    tensors = load_file(folder / "sampler.safetensors")
    tensors[tensor] = tensors[tensor].clone()
    tensors[tensor].view(-1)[0] += 1 if tensor.endswith("seq") else 1.5e-4 * max(1, float(tensors[tensor].abs().max()))
    save_file(tensors, folder / "sampler.safetensors")
    assert [c.name for c in replay(folder) if not c.agrees] == [tensor.partition("/")[0]]


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("gpt_args", {"model_type": "t2i"}, "model_type is 't2i'"),
        ("tokenizer_config", {"queries_per_step": 8}, "queries_per_step is 8"),
        ("tokenizer_config", {"vq_enable": False}, "vq_enable is False"),
    ],
)
def test_networks_that_genbench_has_not_are_refused(folder, part, change, message):
    config = json.loads((folder / "config.json").read_text())
    config[part] |= change
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=message):
        list(replay(folder))
