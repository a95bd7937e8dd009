"""EDM's networks, those trained from them and consistency models, against vectors of the authors' code: small, CPU.

``<family>/config.json`` says which repository and commit; results are named by their tensors in ``forward.safetensors``
and by the runs of ``sampler.json``.
"""

import json
from functools import cache
from pathlib import Path

import pytest
from safetensors import safe_open

from genbench.methods.vectors import TOLERANCE, replay

HERE = Path(__file__).parent
INPUTS = {
    "consistency": {"x_t", "sigmas", "y", "model_in"},
    "consistency_diffusers": {"y", "model_in", "timesteps"},
    "ctm": {"x_t", "t", "s", "y"},
    "ctm_song": {"x_t", "t", "s", "y"},
    "ect": {"x", "sigma", "augment_labels"},
    "edm": {"x", "sigma", "class_labels", "augment_labels", "emb"},
    "maskdit": {"x", "sigma", "class_labels"},
    "rfpp": {"x", "t", "class_labels"},
    "sid": {"x", "sigma", "class_labels"},
}
"""By folder, the last part of the names of what was put in, not computed."""


@cache
def replayed(folder):
    return {comparison.name: comparison for comparison in replay(HERE / folder)}


@pytest.mark.parametrize("folder", INPUTS)
def test_every_recorded_result_is_replayed(folder):
    with safe_open(HERE / folder / "forward.safetensors", framework="pt") as forward:
        outputs = {name for name in forward.keys() if name.rpartition("/")[2] not in INPUTS[folder]}  # noqa: SIM118
    runs = {run["name"] for run in json.loads((HERE / folder / "sampler.json").read_text())["runs"]}
    assert set(replayed(folder)) == outputs | runs


@pytest.mark.parametrize("folder", INPUTS)
def test_agrees_with_the_authors_code(folder):
    assert TOLERANCE == 1e-4
    for found in replayed(folder).values():
        assert found.agrees, found
        # What is measured is rounding: other kernels of the authors' own code differ by up to 4e-5 in samplers.
        assert found.difference <= 4e-5 * found.scale, found
        assert found.draws_left == 0, found
