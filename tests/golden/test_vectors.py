"""Every family against vectors of the authors' code: small random networks, CPU, float32.

``<family>/config.json`` says which repository and commit, and what was run; ``sampler.json`` the settings of each run.
"""

import json
import shutil
from functools import cache
from pathlib import Path

import pytest

from genbench.errors import ConfigError
from genbench.methods.vectors import TOLERANCE, replay

HERE = Path(__file__).parent
FOLDERS = sorted(
    path.parent.name
    for path in HERE.glob("*/sampler.json")
    if "forward_cases" in json.loads(path.with_name("config.json").read_text())
)
"""The rest of the folders name their cases by their tensors: they have tests of their own."""
TRAINING = {"forward(return_act=True)", "forward (training), eval-mode bn", "jvp"}
"""Recorded cases of what no sampler does."""


def recorded(folder):
    config, sampler = (json.loads((HERE / folder / name).read_text()) for name in ("config.json", "sampler.json"))
    cases = [case["name"] for case in config["forward_cases"]]
    return [name for name in cases if name not in TRAINING] + [run["name"] for run in sampler["runs"]]


@cache
def replayed(folder):
    return {comparison.name: comparison for comparison in replay(HERE / folder)}


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_recorded_case_is_replayed(folder):
    assert list(replayed(folder)) == recorded(folder)


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder in FOLDERS for name in recorded(folder)])
def test_agrees_with_the_authors_code(folder, name):
    found = replayed(folder)[name]
    assert TOLERANCE == 1e-4
    assert found.agrees, found
    # What is measured is rounding: other kernels of the authors' own code differ by up to 4e-5 in samplers.
    assert found.difference <= 4e-5 * found.scale
    assert found.draws_left == 0


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_configuration_that_is_none_is_told(folder, tmp_path):
    copy = Path(shutil.copytree(HERE / folder, tmp_path / folder))
    config = json.loads((copy / "config.json").read_text())
    broken = {key: "none" if isinstance(value, dict) else value for key, value in config.items()}
    (copy / "config.json").write_text(json.dumps(broken))
    with pytest.raises(ConfigError, match=r"cannot be replayed \(|config\.json"):
        list(replay(copy))
