"""Suites: what a file may say, and which folder's file counts."""

import copy
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from genbench import paths
from genbench.errors import ConfigError, UsageError
from genbench.metrics.catalog import parse
from genbench.schema import check
from genbench.suites import BLOCK_STRIDE, Suite, find_suite, load_suite, suite_files

SUITES = Path(__file__).parent.parent.parent / "suites"
DATA = tomllib.loads((SUITES / "quick.toml").read_text())


@pytest.mark.parametrize("path", sorted(SUITES.glob("*.toml")), ids=lambda p: p.stem)
def test_every_suite_of_the_repository_loads_and_its_metrics_are_known(path):
    suite = load_suite(path)
    assert len({parse(metric) for metric in suite.metrics}) == len(suite.metrics), "a metric is asked for twice"


def test_blocks_have_seeds_of_their_own():
    suite = check(Suite, {**DATA, "images": BLOCK_STRIDE, "blocks": 3, "first_seed": 5}, "x")
    blocks = [suite.seeds(block) for block in range(3)]
    assert [(b.start, len(b)) for b in blocks] == [(5 + i * 1_000_000, 1_000_000) for i in range(3)]
    assert all(a.stop <= b.start for a, b in pairwise(blocks))


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ({"metric": ["fid"]}, "unknown key 'metric'", "did you mean metrics?"),
        ({"label": "balanced"}, "unknown key 'label'", "did you mean labels?"),
        ({"images": 1}, "images: should be greater than 1, not 1", ""),
        ({"images": BLOCK_STRIDE + 1}, "images: should be less than or equal to 1000000", ""),
        ({"images": 10.5}, "images: should be a valid integer", ""),
        ({"blocks": 0}, "blocks: should be greater than 0", ""),
        ({"first_seed": -1}, "first_seed: should be greater than or equal to 0", ""),
        ({"labels": "random"}, "labels: should be 'balanced', 'uniform' or 'empirical', not 'random'", ""),
        ({"metrics": []}, "metrics: ", ""),
        ({"runs": []}, "runs: ", ""),
        ({"id": "Quick Suite"}, "id: String should match", ""),
    ],
)
def test_what_a_suite_may_not_say(change, message, hint):
    with pytest.raises(ConfigError) as caught:
        check(Suite, {**DATA, **change}, "quick.toml")
    assert str(caught.value).startswith(f"quick.toml: {message}")
    assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("key", ["labels", "images", "dataset"])
def test_what_a_suite_must_say(key):
    data = copy.deepcopy(DATA)
    del data[key]
    with pytest.raises(ConfigError, match=f"key '{key}' is missing"):
        check(Suite, data, "quick.toml")


def write(folder, stem, title, name=None):
    folder.mkdir(parents=True, exist_ok=True)
    text = (SUITES / "quick.toml").read_text().replace('"quick"', f'"{name or stem}"')
    path = folder / f"{stem}.toml"
    path.write_text(text.replace(DATA["title"], title))
    return path


def test_a_file_is_called_after_its_suite(tmp_path):
    with pytest.raises(ConfigError, match=r"mine\.toml: id is 'yours'") as caught:
        load_suite(write(tmp_path, "mine", "T", name="yours"))
    assert caught.value.hint == "rename the file to yours.toml"


def test_suites_are_found_in_the_order_of_the_design(tmp_path, monkeypatch):
    """Option, environment, working directory, packaged copy: each hides what comes after it."""
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "package")
    monkeypatch.delenv("GENBENCH_SUITES", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    option, variable = tmp_path / "option", tmp_path / "variable"

    def found(asked=None):
        return find_suite("mine", paths.data_folders("suites", asked)).title

    write(tmp_path / "package" / "_packaged" / "suites", "mine", "packaged")
    assert found() == "packaged"
    write(tmp_path / "work" / "suites", "mine", "here")
    assert found() == "here"
    write(variable, "mine", "variable")
    monkeypatch.setenv("GENBENCH_SUITES", str(variable))
    assert found() == "variable"
    write(option, "mine", "option")
    assert found(option) == "option"
    write(option, "other", "other")
    assert list(suite_files(paths.data_folders("suites", option))) == ["mine", "other"]


def test_a_suite_by_its_file(tmp_path):
    path = write(tmp_path, "mine", "by file")
    assert find_suite(str(path), []).title == "by file"
    with pytest.raises(ConfigError, match="cannot be read"):
        find_suite(str(tmp_path / "absent.toml"), [])


def test_an_unknown_suite_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="no suite named 'quik'") as caught:
        find_suite("quik", [SUITES])
    assert caught.value.hint == "did you mean quick?"
    with pytest.raises(UsageError) as caught:
        find_suite("zzz", [SUITES])
    assert caught.value.hint == "`genbench list suites` lists the known ones"
