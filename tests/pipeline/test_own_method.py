"""The README's example of a user's own method, run as it stands there, and samplers of installed packages."""

import importlib
import json
import re
import sys
from pathlib import Path

import pytest

from genbench.errors import UsageError
from genbench.methods.catalog import FAMILIES
from genbench.methods.families import family

README = Path(__file__).parents[2] / "README.md"


def example():
    """The files of the README's section, and its command."""
    section = README.read_text().split("\n## Your own method\n")[1].split("\n## ")[0]
    files = dict(re.findall(r"`([\w/]+\.(?:py|toml))`:\n\n```\w+\n(.*?)```", section, re.DOTALL))
    command = re.search(r"\$ PYTHONPATH=\. genbench (.*)", section)
    return files, command[1].split()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("blobs", None)


def test_the_readmes_method_is_sampled_and_measured(folder, genbench):
    files, command = example()
    assert set(files) == {"blobs.py", "registry/blobs.toml"}
    assert len(files["blobs.py"].splitlines()) <= 20
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    done = genbench(*command, "--limit", "20", "--results", folder / "results", "--cache", folder / "cache")
    assert done.code == 0, done.stderr
    record = json.loads(next((folder / "results/quick/blobs-emoji32@blur5").glob("*.json")).read_text())
    values = {m["metric"]: m["value"] for m in record["measurements"]}
    assert values["fd@inception-tf"] > 100
    assert record["costs"]["flops_per_image"] is None


MISTAKES = {
    "__init__": ('settings["blur"]', 'settings["blurr"]', "KeyError: 'blurr'"),
    "sample": ("noise.normal", "noise.norml", "AttributeError: "),
}


@pytest.mark.parametrize(("right", "wrong", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_ones_own_class_is_told_with_its_line(folder, genbench, right, wrong, said):
    files, command = example()
    (folder / "registry").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text.replace(right, wrong))
    line = files["blobs.py"].partition(right)[0].count("\n") + 1
    checked = genbench("validate", "registry/blobs.toml")
    assert checked.code == 1
    assert f"blobs.py:{line}" in checked.out.replace("\n", "")
    error, hint = genbench(*command, "--results", folder / "results", "--cache", folder / "cache").problem(1)
    assert f"{folder / 'blobs.py'}:{line}: Blobs raised {said}" in error
    assert "genbench validate" in hint


def test_ones_own_class_is_tried_on_two_images(folder, genbench):
    files, _ = example()
    (folder / "registry").mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    assert "two images of (3, 32, 32)" in genbench("validate", "registry/blobs.toml").ok().out


PACKAGE = """
class Even:
    def __init__(self, *, network, settings, state, device): ...
"""


def test_an_installed_package_offers_its_sampler_under_a_name(folder):
    (folder / "even_for_test.py").write_text(PACKAGE)
    info = folder / "even_for_test-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: even-for-test\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[genbench.samplers]\neven = even_for_test:Even\n")
    importlib.invalidate_caches()
    found = family("even", "card.toml")
    assert found.sampler == "even_for_test:Even"
    assert len(found.version) == 64
    with pytest.raises(UsageError, match="no sampler family named 'evem'") as caught:
        family("evem", "card.toml")
    assert "even" in caught.value.hint
    assert "even" not in FAMILIES
