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
